import java.sql.DriverManager;
import java.util.Properties;

/** pgjdbc: a token for each connection, as the property "password". */
final class PasswordProperty {
    public static void main(String[] arguments) throws Exception {
        String url = System.getenv("URL"), user = System.getenv("PGUSER");
        for (int i = 0; i < 2; i++) {
            Properties properties = new Properties();
            properties.setProperty("user", user);
            properties.setProperty("password", TokenCommand.fetchToken());
            try (var connection = DriverManager.getConnection(url, properties)) {
                TokenCommand.show(connection);
            }
        }
    }
}
