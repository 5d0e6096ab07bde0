import java.sql.DriverManager;
import java.util.Properties;

/** pgjdbc: the driver asks a class for a token whenever a server asks for one. */
final class PluginProperty {
    public static void main(String[] arguments) throws Exception {
        String url = System.getenv("URL"), user = System.getenv("PGUSER");
        Properties properties = new Properties();
        properties.setProperty("user", user);
        properties.setProperty("authenticationPluginClassName", "TokenPlugin");
        for (int i = 0; i < 2; i++) {
            try (var connection = DriverManager.getConnection(url, properties)) {
                TokenCommand.show(connection);
            }
        }
    }
}
