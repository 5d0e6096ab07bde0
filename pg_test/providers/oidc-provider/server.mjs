// The certified OpenID provider `oidc-provider` as an issuer for the tests.
//
//   node server.mjs ALGORITHM AUDIENCE CERTIFICATE KEY AUTHORITY
//
// It listens on a free port of 127.0.0.1, and on another one by TLS, with this certificate, where it asks clients for
// certificates of the authority (RFC 8705). It prints one line of JSON, {"issuer": …, "mtls": …}, when it is ready.
// Then it reads commands from standard input, one a line, and answers each with a line of JSON:
//   rotate   signs with a new key and keeps publishing the old ones
//   retire   publishes only the newest key
// It ends when its standard input ends, so it never outlives the tests.

import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import readline from 'node:readline';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';

const [algorithm, audience, certificate, key, authority] = process.argv.slice(2);

async function newKey() {
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, alg: algorithm, use: 'sig', kid: await calculateJwkThumbprint(jwk) };
}

// The provider's own documents (ID tokens) need RS256, whatever the access tokens are signed with.
async function idTokenKey() {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig', kid: 'id-token' };
}

function provider(issuer, keys) {
  return new Provider(issuer, {
    jwks: { keys },
    clients: [{
      client_id: 'psql',
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      grant_types: ['urn:ietf:params:oauth:grant-type:device_code'],
      response_types: [],
      redirect_uris: [],
    }, {
      // A program of its own right, which has a certificate instead of a secret.
      client_id: 'alice',
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: 'CN=alice',
      tls_client_certificate_bound_access_tokens: true,
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    }],
    clientAuthMethods: ['none', 'tls_client_auth'],
    cookies: { keys: ['these cookies protect nothing'] },
    scopes: ['openid', 'offline_access'],
    // Whoever logs in on the built-in development pages is that person, with any password.
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    ttl: { AccessToken: 300, DeviceCode: 600, Grant: 600, IdToken: 300, Interaction: 600, Session: 600 },
    features: {
      devInteractions: { enabled: true },
      deviceFlow: { enabled: true },
      clientCredentials: { enabled: true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        tlsClientAuth: true,
        getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.(),
        certificateAuthorized: (ctx) => ctx.socket.authorized,
        certificateSubjectMatches: (ctx, property, expected) =>
          ctx.socket.getPeerX509Certificate().subject.split('\n').includes(expected),
      },
      // psql can not send `resource`: without a default, access tokens would be opaque.
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'postgres',
          audience,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: algorithm } },
        }),
      },
    },
  }).callback();
}

const keys = [await newKey()];
const idKeys = algorithm === 'RS256' ? [] : [await idTokenKey()];
let answer;
const respond = (request, response) => answer(request, response);
const listen = (server) => new Promise((listening) => {
  server.listen(0, '127.0.0.1', () => listening(server.address().port));
});
const port = await listen(http.createServer(respond));
const tlsPort = await listen(https.createServer({
  cert: fs.readFileSync(certificate),
  key: fs.readFileSync(key),
  ca: fs.readFileSync(authority),
  requestCert: true,
  rejectUnauthorized: false, // the provider itself says who is not authorized
}, respond));
const issuer = `http://127.0.0.1:${port}`;
answer = provider(issuer, [...keys, ...idKeys]);
console.log(JSON.stringify({ issuer, mtls: `https://localhost:${tlsPort}` }));

const commands = readline.createInterface({ input: process.stdin });
commands.on('line', async (command) => {
  if (command === 'rotate') keys.unshift(await newKey());
  if (command === 'retire') keys.splice(1);
  answer = provider(issuer, [...keys, ...idKeys]);
  console.log(JSON.stringify({ kid: keys[0].kid }));
});
commands.on('close', () => process.exit(0));
