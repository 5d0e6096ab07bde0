// The certified OpenID provider `oidc-provider` as an issuer for the tests.
//
//   node server.mjs ALGORITHM AUDIENCE
//
// It listens on a free port of 127.0.0.1 and prints one line of JSON, {"issuer": …}, when it is ready.
// Then it reads commands from standard input, one a line, and answers each with a line of JSON:
//   rotate   signs with a new key and keeps publishing the old ones
//   retire   publishes only the newest key
// It ends when its standard input ends, so it never outlives the tests.

import http from 'node:http';
import readline from 'node:readline';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';

const [algorithm, audience] = process.argv.slice(2);

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
    }],
    cookies: { keys: ['these cookies protect nothing'] },
    scopes: ['openid', 'offline_access'],
    // Whoever logs in on the built-in development pages is that person, with any password.
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    ttl: { AccessToken: 300, DeviceCode: 600, Grant: 600, IdToken: 300, Interaction: 600, Session: 600 },
    features: {
      devInteractions: { enabled: true },
      deviceFlow: { enabled: true },
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
const server = http.createServer((request, response) => answer(request, response));
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  answer = provider(issuer, [...keys, ...idKeys]);
  console.log(JSON.stringify({ issuer }));

  const commands = readline.createInterface({ input: process.stdin });
  commands.on('line', async (command) => {
    if (command === 'rotate') keys.unshift(await newKey());
    if (command === 'retire') keys.splice(1);
    answer = provider(issuer, [...keys, ...idKeys]);
    console.log(JSON.stringify({ kid: keys[0].kid }));
  });
  commands.on('close', () => process.exit(0));
});
