"""A small OpenID provider on loopback: discovery, keys, authorize (with PKCE), token, end of session.

It signs in whoever ``person`` describes, without asking, and can lie in the ways of :data:`LIES`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "capacity", "a client's secret"
LIES = ("another key", "expired", "another audience", "another nonce", "another issuer")


@dataclass
class Provider:
    """What the provider knows and does; ``person`` and ``lie`` may change between sign-ins."""

    address: str = ""
    person: dict[str, Any] = field(default_factory=dict)
    lie: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"}))
    stolen: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"}))
    asked: dict[str, dict[str, str]] = field(default_factory=dict)
    ended: list[dict[str, str]] = field(default_factory=list)

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/keys",
            "end_session_endpoint": f"{self.address}/end",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser goes with its code."""
        assert query["client_id"] == CLIENT
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.asked[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """The answer to a code, once, for the client that asked and nobody else."""
        asked = self.asked.pop(form.get("code", ""), None)
        wanted = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if asked is None or authorization != wanted or form["redirect_uri"] != asked["redirect_uri"]:
            return None
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return None
        signed = self.sign(self.claims(asked["nonce"]))
        return {"access_token": secrets.token_urlsafe(8), "token_type": "Bearer", "expires_in": 60, "id_token": signed}

    def claims(self, nonce: str) -> dict[str, Any]:
        now = int(time.time())
        issued = now - 7200 if self.lie == "expired" else now
        return {
            "iss": "http://127.0.0.1:1" if self.lie == "another issuer" else self.address,
            "aud": "another client" if self.lie == "another audience" else CLIENT,
            "sub": "1",
            "iat": issued,
            "exp": issued + 3600,
            "nonce": "replayed" if self.lie == "another nonce" else nonce,
            **self.person,
        }

    def sign(self, claims: dict[str, Any]) -> str:
        key = self.stolen if self.lie == "another key" else self.key
        return jwt.encode({"alg": "RS256", "kid": "k1"}, claims, key)


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {k: v[0] for k, v in parse_qs(parts.query).items()}
            if parts.path == "/.well-known/openid-configuration":
                self._json(200, provider.discovery())
            elif parts.path == "/keys":
                self._json(200, {"keys": [provider.key.as_dict(private=False)]})
            elif parts.path == "/authorize":
                self._go(provider.authorize(query))
            elif parts.path == "/end":
                provider.ended.append(query)
                self._go(query["post_logout_redirect_uri"])
            else:
                self._json(404, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {k: v[0] for k, v in parse_qs(body).items()}
            answer = provider.token(form, self.headers.get("Authorization", ""))
            self._json(200, answer) if answer else self._json(400, {"error": "invalid_grant"})

        def _json(self, status: int, value: Any) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _go(self, where: str) -> None:
            self.send_response(302)
            self.send_header("Location", where)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return Handler


@contextmanager
def provided() -> Iterator[Provider]:
    """A provider that answers until the block ends."""
    provider = Provider()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(provider))
    provider.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
