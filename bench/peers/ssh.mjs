// ssh -R through an sshd of its own with throw-away keys; always encrypts.  At its best: AES-128-GCM
// and no compression.  Root's sshd would want a user and a folder of the machine, so that for root
// it runs as daemon (not nobody, which systemd's name service calls locked).
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from '../process.mjs';
import { accepts, installed, open, unpack, until, write } from './lib.mjs';

const isRoot = process.getuid() === 0;
const user = isRoot ? 'daemon' : execFileSync('id', ['-un']).toString().trim();
const asUser = isRoot ? ['setpriv', '--reuid=daemon', '--regid=daemon', '--clear-groups'] : ['env'];
const CIPHER = 'aes128-gcm@openssh.com';

async function install() {
    const text = execFileSync('apt-cache', ['policy', 'openssh-server']).toString();
    const version = /Candidate: (\d.*)/.exec(text)?.[1];
    if (!version) throw new Error('apt has no openssh-server');
    const home = await installed('ssh', version,
        (folder) => unpack(folder, [`openssh-server=${version}`, 'libwrap0']));
    return { home, version };
}

const relayText = (port, folder) => `ListenAddress 127.0.0.1:${port}
HostKey ${folder}/host
AuthorizedKeysFile ${folder}/key.pub
PidFile none
StrictModes no
UsePAM no
UseDNS no
Compression no
Ciphers ${CIPHER}
LogLevel ERROR
`;

// A folder with sshd and keys in it that `user` may read.
function place(home) {
    const folder = mkdtempSync(path.join(tmpdir(), 'rvpn-sshd-'));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    for (const name of ['host', 'key'])
        execFileSync('ssh-keygen',
            ['-q', '-t', 'ed25519', '-N', '', '-f', path.join(folder, name)]);
    execFileSync('find', [home, '(', '-path', '*/sbin/sshd', '-o', '-name', 'libwrap.so*', ')',
        '-exec', 'cp', '-P', '{}', folder, ';']);
    if (isRoot) execFileSync('chown', ['-R', 'daemon', folder]);
    return folder;
}

async function start({ servicePort, cpus }) {
    const { home } = await install();
    const folder = place(home);
    const [port, visitPort] = [await freePort(), await freePort()];
    const config = write(folder, 'sshd_config', relayText(port, folder), 0o644);
    const options = [`Ciphers=${CIPHER}`, 'Compression=no', 'StrictHostKeyChecking=no',
        `UserKnownHostsFile=${folder}/known`, 'IdentitiesOnly=yes', 'ExitOnForwardFailure=yes',
        'LogLevel=ERROR'];
    return open(cpus, async (launch) => {
        const relay = launch('relay', asUser[0],
            [...asUser.slice(1), `${folder}/sshd`, '-D', '-e', '-f', config],
            { LD_LIBRARY_PATH: folder });
        await until(() => accepts(port), relay);
        const client = launch('client', 'ssh', ['-F', 'none', '-N', '-T', '-i', `${folder}/key`,
            '-p', port, ...options.flatMap((one) => ['-o', one]),
            '-R', `127.0.0.1:${visitPort}:127.0.0.1:${servicePort}`, `${user}@127.0.0.1`]);
        await until(() => accepts(visitPort), relay, client);
        return visitPort;
    }, () => rmSync(folder, { recursive: true }));
}

export default { name: 'ssh -R',
    install: () => install().then(({ version }) => version), start };
