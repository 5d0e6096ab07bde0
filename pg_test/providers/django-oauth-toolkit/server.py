"""django-oauth-toolkit as a provider of opaque tokens, in one file.

Listens on a free port of 127.0.0.1, keeps its database in the working folder, and prints {"issuer": ...} once it is ready.
Users: alice, bob, carol, whose password is their name. Clients: psql (public), and postgresql, which may introspect, with
the secret that is the first argument.
"""

import json
import os
import socketserver
import sys
import wsgiref.simple_server

import django
from django.conf import settings
from jwcrypto import jwk


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class QuietHandler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
server = Server(("127.0.0.1", 0), QuietHandler)
origin = f"http://127.0.0.1:{server.server_port}"
signing_key = jwk.JWK.generate(kty="RSA", size=2048).export_to_pem(private_key=True, password=None)

settings.configure(
    SECRET_KEY=os.urandom(16).hex(),
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    LOGIN_URL="/login/",
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "provider.sqlite3"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "oauth2_provider",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ],
                "loaders": [
                    (
                        "django.template.loaders.locmem.Loader",
                        {"login.html": '<form method="post">{% csrf_token %}{{ form }}</form>'},
                    ),
                    "django.template.loaders.app_directories.Loader",
                ],
            },
        }
    ],
    OAUTH2_PROVIDER={
        "SCOPES": {"openid": "OpenID", "postgres": "Log in to PostgreSQL", "introspection": "Ask about tokens"},
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": signing_key.decode(),
        "ACCESS_TOKEN_EXPIRE_SECONDS": 300,
        "DEVICE_FLOW_INTERVAL": 1,
        "OAUTH_DEVICE_VERIFICATION_URI": origin + "/o/device/",
    },
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.contrib.auth.views import LoginView  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import include, path  # noqa: E402
from oauth2_provider.models import get_application_model  # noqa: E402
from oauth2_provider.views import ConnectDiscoveryInfoView  # noqa: E402


class Metadata(ConnectDiscoveryInfoView):
    """The toolkit's metadata, and two endpoints that it serves without naming them there."""

    def get(self, *args, **kwargs):
        response = super().get(*args, **kwargs)
        document = json.loads(response.content)
        document.setdefault("device_authorization_endpoint", origin + "/o/device-authorization/")
        document.setdefault("introspection_endpoint", origin + "/o/introspect/")
        response.content = json.dumps(document)
        return response


urlpatterns = [
    path("o/.well-known/openid-configuration", Metadata.as_view()),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("login/", LoginView.as_view(template_name="login.html")),
]

call_command("migrate", verbosity=0)
for name in ("alice", "bob", "carol"):
    User.objects.create_user(name, password=name)
Application = get_application_model()
Application.objects.create(client_id="psql", client_type="public", authorization_grant_type=DEVICE_CODE)
Application.objects.create(
    client_id="postgresql",
    client_secret=sys.argv[1],
    client_type="confidential",
    authorization_grant_type="client-credentials",
)
server.set_app(get_wsgi_application())
print(json.dumps({"issuer": origin + "/o"}), flush=True)
server.serve_forever()
