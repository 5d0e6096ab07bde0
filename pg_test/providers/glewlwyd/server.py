"""Glewlwyd as a provider of JWTs that it can introspect and revoke.

Arguments: the folder that the packages were unpacked into, and the secret of the client postgresql, which may introspect.
Listens on a free port of 127.0.0.1, keeps its files in the working folder, and prints {"issuer": ...} once it is ready.
Users: alice, bob, carol, whose password is their name with "-password". The public client is psql.

Each line of standard input is an order: "approve USER URL CODE" does what the person's browser does, whose pages are made
by a script, and "revoke TOKEN" revokes one (RFC 7009). Each is answered by a line of JSON.
"""

import base64
import ctypes
import gzip
import http.cookiejar
import json
import pathlib
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from jwcrypto import jwk

packages, secret = pathlib.Path(sys.argv[1]), sys.argv[2]
usr = packages / "usr"

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
base = f"http://127.0.0.1:{port}"
issuer = f"{base}/api/oidc"

schema = usr / "share/doc/glewlwyd/database/init.sqlite3.sql.gz"
database = sqlite3.connect("glewlwyd.db")
database.executescript(gzip.decompress(schema.read_bytes()).decode())
database.close()

pathlib.Path("glewlwyd.conf").write_text(f"""
port={port}
bind_address="127.0.0.1"
external_url="{base}"
login_url="login.html"
api_prefix="api"
static_files_path="{usr}/share/glewlwyd/webapp/"
log_mode="console"
log_level="WARNING"
cookie_secure=0
session_expiration=3600
session_key="GLEWLWYD2_SESSION_ID"
admin_session_authentication="cookie"
profile_session_authentication="cookie"
login_api_enabled=true
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="{usr}/lib/glewlwyd/user"
client_module_path="{usr}/lib/glewlwyd/client"
user_auth_scheme_module_path="{usr}/lib/glewlwyd/scheme"
plugin_module_path="{usr}/lib/glewlwyd/plugin"
use_secure_connection=false
secure_connection_key_file="unused"
secure_connection_pem_file="unused"
secure_connection_ca_file="unused"
hash_algorithm="SHA512"
database={{ type="sqlite3"; path="glewlwyd.db"; }};
""")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Client:
    """A browser of its own, which speaks JSON and follows no redirect."""

    def __init__(self):
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(jar, NoRedirect)

    def call(self, method, url, document=None):
        """The answer's status, its Location and its body."""
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
        try:
            answer = self.opener.open(request, timeout=20)
        except urllib.error.HTTPError as error:
            answer = error
        return answer.status, answer.headers.get("Location"), answer.read()

    def must(self, method, path, document=None):
        """The answer's body, which must be a good one."""
        status, _, body = self.call(method, base + path, document)
        if status != 200:
            sys.exit(f"{method} {path}: {status} {body[:300]}")
        return json.loads(body) if body.strip() else None


def end_with_parent():
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


libraries = ":".join(str(folder) for folder in (usr / "lib").glob("*-linux-gnu*"))
subprocess.Popen(
    [usr / "bin/glewlwyd", "--config-file=glewlwyd.conf"],
    env={"LD_LIBRARY_PATH": libraries},
    stdin=subprocess.DEVNULL,
    stdout=sys.stderr,
    preexec_fn=end_with_parent,
)
for _ in range(300):
    try:
        urllib.request.urlopen(base + "/config", timeout=5)
        break
    except OSError:
        time.sleep(0.1)

admin = Client()
admin.must("POST", "/api/auth/", {"username": "admin", "password": "password"})
for scope in ("postgres", "introspect"):
    admin.must(
        "POST",
        "/api/scope/",
        {"name": scope, "display_name": scope, "password_required": scope == "postgres", "password_max_age": 0, "scheme": {}},
    )
for user in ("alice", "bob", "carol"):
    admin.must(
        "POST",
        "/api/user/",
        {"username": user, "password": user + "-password", "scope": ["openid", "g_profile", "postgres"], "enabled": True},
    )
admin.must(
    "POST",
    "/api/client/",
    {"client_id": "psql", "confidential": False, "authorization_type": ["device_authorization"], "enabled": True},
)
admin.must(
    "POST",
    "/api/client/",
    {
        "client_id": "postgresql",
        "confidential": True,
        "client_secret": secret,
        "scope": ["introspect"],
        "token_endpoint_auth_method": ["client_secret_basic"],
        "authorization_type": ["client_credentials"],
        "enabled": True,
    },
)
key = jwk.JWK.generate(kty="RSA", size=2048, kid="signing", alg="RS256", use="sig")
admin.must(
    "POST",
    "/api/mod/plugin/",
    {
        "module": "oidc",
        "name": "oidc",
        "display_name": "oidc",
        "enabled": True,
        "parameters": {
            "iss": issuer,
            "jwks-private": json.dumps({"keys": [json.loads(key.export_private())]}),
            "jwks-show": True,
            "default-kid": "signing",
            "access-token-duration": 300,
            "refresh-token-duration": 3600,
            "code-duration": 60,
            "allow-non-oidc": True,
            "auth-type-code-enabled": False,
            "auth-type-token-enabled": False,
            "auth-type-id-token-enabled": False,
            "auth-type-password-enabled": False,
            "auth-type-client-enabled": True,
            "auth-type-device-enabled": True,
            "auth-type-refresh-enabled": False,
            "additional-parameters": [
                {"user-parameter": "username", "token-parameter": "preferred_username", "token-changed": False}
            ],
            "introspection-revocation-allowed": True,
            "introspection-revocation-allow-target-client": True,
            "introspection-revocation-auth-scope": ["introspect"],
            "device-authorization-expiration": 600,
            "device-authorization-interval": 1,
            "subject-type": "public",
            "pkce-allowed": False,
        },
    },
)


def approve(user, url, code):
    person = Client()
    person.call("GET", url)
    person.must("POST", "/api/auth/", {"username": user, "password": user + "-password"})
    entered = url + "?code=" + urllib.parse.quote(code)
    _, location, _ = person.call("GET", entered)
    query = urllib.parse.parse_qs(urllib.parse.urlparse(location).query)
    person.must("PUT", "/api/auth/grant/" + query["client_id"][0], {"scope": query["scope"][0]})
    status, _, _ = person.call("GET", entered + "&g_continue")
    return status


def revoke(token):
    form = urllib.parse.urlencode({"token": token, "token_type_hint": "access_token"}).encode()
    credentials = base64.b64encode(f"postgresql:{secret}".encode()).decode()
    request = urllib.request.Request(issuer + "/revoke", form, {"Authorization": "Basic " + credentials})
    return urllib.request.urlopen(request, timeout=20).status


print(json.dumps({"issuer": issuer}), flush=True)
for line in sys.stdin:
    order, *arguments = line.split()
    status = {"approve": approve, "revoke": revoke}[order](*arguments)
    print(json.dumps({"status": status}), flush=True)
