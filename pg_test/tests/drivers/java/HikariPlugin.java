import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;

/** HikariCP on pgjdbc, by properties alone, as frameworks set them. */
final class HikariPlugin {
    public static void main(String[] arguments) throws Exception {
        String url = System.getenv("URL"), user = System.getenv("PGUSER");
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl(url);
        config.setUsername(user);
        config.addDataSourceProperty("authenticationPluginClassName", "TokenPlugin");
        config.setMaximumPoolSize(2);
        config.setConnectionTimeout(5000);
        try (var pool = new HikariDataSource(config);
                var first = pool.getConnection();
                var second = pool.getConnection()) {
            TokenCommand.show(first);
            TokenCommand.show(second);
        }
    }
}
