// rathole: plain, and with TLS (OpenSSL) between its two ends; TCP_NODELAY is its default.  Built
// without its lock file, which names a package that today's compiler refuses.
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { freePort } from '../process.mjs';
import { accepts, cargoInstall, certificate, installed, open, until, write } from './lib.mjs';
import versions from './versions.mjs';

const PASSWORD = 'bench'; // of a throw-away key, and the token too

const install = () => installed('rathole', versions.rathole,
    (folder) => cargoInstall(folder, 'rathole', versions.rathole, { locked: false }));

function transports(folder, tls) {
    if (!tls) return { relay: 'type = "tcp"', client: 'type = "tcp"' };
    const { cert, key } = certificate(folder);
    const identity = path.join(folder, 'identity.pfx');
    execFileSync('openssl', ['pkcs12', '-export', '-in', cert, '-inkey', key, '-out', identity,
        '-passout', `pass:${PASSWORD}`]);
    return {
        relay: `type = "tls"\n[server.transport.tls]\npkcs12 = "${identity}"\n` +
            `pkcs12_password = "${PASSWORD}"`,
        client: `type = "tls"\n[client.transport.tls]\ntrusted_root = "${cert}"\n` +
            'hostname = "localhost"',
    };
}

const relayText = (port, visitPort, transport) => `[server]
bind_addr = "127.0.0.1:${port}"
default_token = "${PASSWORD}"
[server.transport]
${transport}
[server.services.bench]
bind_addr = "127.0.0.1:${visitPort}"
`;

const clientText = (port, servicePort, transport) => `[client]
remote_addr = "127.0.0.1:${port}"
default_token = "${PASSWORD}"
[client.transport]
${transport}
[client.services.bench]
local_addr = "127.0.0.1:${servicePort}"
`;

async function start({ servicePort, folder, cpus }, tls) {
    const file = `${await install()}/bin/rathole`;
    const [port, visitPort] = [await freePort(), await freePort()];
    const transport = transports(folder, tls);
    const env = { RUST_LOG: 'error' };
    return open(cpus, async (launch) => {
        const relay = launch('relay', file, ['--server',
            write(folder, 'relay.toml', relayText(port, visitPort, transport.relay))], env);
        await until(() => accepts(port), relay);
        const client = launch('client', file, ['--client',
            write(folder, 'client.toml', clientText(port, servicePort, transport.client))], env);
        await until(() => accepts(visitPort), relay, client);
        return visitPort;
    });
}

export default [false, true].map((tls) => ({
    name: `rathole ${tls ? 'TLS' : 'plain'}`,
    install: () => install().then(() => versions.rathole),
    start: (options) => start(options, tls),
}));
