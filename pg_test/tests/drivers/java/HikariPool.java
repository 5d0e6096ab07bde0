import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import com.zaxxer.hikari.util.Credentials;

/** HikariCP on pgjdbc: the pool asks for a token for each connection that it opens. */
final class HikariPool {
    public static void main(String[] arguments) throws Exception {
        String url = System.getenv("URL"), user = System.getenv("PGUSER");
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl(url);
        config.setCredentialsProvider(() -> Credentials.of(user, TokenCommand.fetchToken()));
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
