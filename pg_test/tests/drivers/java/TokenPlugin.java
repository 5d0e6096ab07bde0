import org.postgresql.plugin.AuthenticationPlugin;
import org.postgresql.plugin.AuthenticationRequestType;

public class TokenPlugin implements AuthenticationPlugin {
    @Override
    public char[] getPassword(AuthenticationRequestType type) {
        if (type != AuthenticationRequestType.CLEARTEXT_PASSWORD) {
            return null; // another method: a token is not for it
        }
        return TokenCommand.fetchToken().toCharArray();
    }
}
