// chisel: SSH inside one WebSocket; always encrypts.  Without -v it logs next to nothing.
import { freePort } from '../process.mjs';
import { accepts, goBuild, installed, open, until } from './lib.mjs';
import versions from './versions.mjs';

const install = () => installed('chisel', versions.chisel, (folder) => goBuild(folder,
    { module: 'github.com/jpillora/chisel', version: versions.chisel, packages: [''] }));

async function start({ servicePort, cpus }) {
    const file = `${await install()}/bin/chisel`;
    const [port, visitPort] = [await freePort(), await freePort()];
    return open(cpus, async (launch) => {
        const relay = launch('relay', file,
            ['server', '--reverse', '--host', '127.0.0.1', '--port', port]);
        await until(() => accepts(port), relay);
        const client = launch('client', file, ['client', `http://127.0.0.1:${port}`,
            `R:127.0.0.1:${visitPort}:127.0.0.1:${servicePort}`]);
        await until(() => accepts(visitPort), relay, client);
        return visitPort;
    });
}

export default { name: 'chisel',
    install: () => install().then(() => versions.chisel), start };
