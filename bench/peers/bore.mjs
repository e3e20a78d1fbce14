// bore: one connection of its own to the relay for each visitor, nothing encrypted.
import { freePort } from '../process.mjs';
import { accepts, cargoInstall, installed, open, until } from './lib.mjs';
import versions from './versions.mjs';

const CONTROL_PORT = 7835; // no option changes it

const install = () => installed('bore', versions.bore,
    (folder) => cargoInstall(folder, 'bore-cli', versions.bore, { locked: true }));

async function start({ servicePort, cpus }) {
    const file = `${await install()}/bin/bore`;
    const visitPort = await freePort();
    const env = { RUST_LOG: 'error' };
    if (await accepts(CONTROL_PORT)) throw new Error(`port ${CONTROL_PORT} is taken`);
    return open(cpus, async (launch) => {
        const relay = launch('relay', file, ['server', '--bind-addr', '127.0.0.1'], env);
        await until(() => accepts(CONTROL_PORT), relay);
        const client = launch('client', file, ['local', servicePort, '--local-host', '127.0.0.1',
            '--to', '127.0.0.1', '--port', visitPort], env);
        await until(() => accepts(visitPort), relay, client);
        return visitPort;
    });
}

export default { name: 'bore plain',
    install: () => install().then(() => versions.bore), start };
