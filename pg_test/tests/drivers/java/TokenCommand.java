import java.io.IOException;

/** Where the programs of this folder get a token: from a command that prints one. */
final class TokenCommand {
    static String fetchToken() {
        try {
            Process process = new ProcessBuilder(System.getenv("TOKEN_COMMAND")).start();
            return new String(process.getInputStream().readAllBytes()).strip();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    static void show(java.sql.Connection connection) throws java.sql.SQLException {
        try (var rows = connection.createStatement().executeQuery(System.getenv("QUERY"))) {
            rows.next();
            System.out.println(rows.getString(1));
        }
    }
}
