// What the peers' modules share: a folder that keeps what was installed, the package managers, and
// processes that are ended by their ids.
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync,
    writeFileSync } from 'node:fs';
import net from 'node:net';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { sleep, start } from '../process.mjs';

const run = promisify(execFile);
const READY_MS = 15_000;
const LOOK_MS = 20;
const END_MS = 2000;
const STAMP = 'installed'; // holds the version once all of it is there

const cache = path.join(process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'rvpn-bench');

// The folder of a peer, filled by `fill(folder)` unless it holds `version` already.
export async function installed(name, version, fill) {
    const folder = path.join(cache, name);
    const stamp = path.join(folder, STAMP);
    if (existsSync(stamp) && readFileSync(stamp, 'utf8') === version) return folder;
    mkdirSync(folder, { recursive: true });
    console.error(`installing ${name} ${version} in ${folder}`);
    await fill(folder).catch((err) => {
        throw new Error(reasonOf(err));
    });
    writeFileSync(stamp, version);
    return folder;
}

// The one line of a package manager's output that says why.
function reasonOf({ stderr, message }) {
    const lines = (stderr || message).split('\n').map((line) => line.trim()).filter(Boolean);
    const wanted = /403|404|error|not (found|available)|no such/i;
    return (lines.findLast((line) => wanted.test(line)) ?? lines.at(-1) ?? 'no reason given')
        .slice(0, 160);
}

const tool = (cwd, file, args, env = {}) => run('nice', ['-n', '10', file, ...args],
    { cwd, env: { ...process.env, ...env }, maxBuffer: 2 ** 26 });

// Builds `packages` of one Go module into folder/bin.  A module of our own requires it, since
// `go install` refuses those that replace others; its sums are those the peer was released with.
export async function goBuild(folder, { module, version, packages, replace = [], tags = '' }) {
    const go = (...args) => tool(folder, 'go', args, { GOFLAGS: '-mod=mod', CGO_ENABLED: '0' });
    writeFileSync(path.join(folder, 'go.mod'), 'module peer\n');
    const { stdout } = await go('mod', 'download', '-json', `${module}@${version}`);
    copyFileSync(path.join(JSON.parse(stdout).Dir, 'go.sum'), path.join(folder, 'go.sum'));
    chmodSync(path.join(folder, 'go.sum'), 0o644);
    for (const one of replace) await go('mod', 'edit', `-replace=${one}`);
    await go('get', ...packages.map((one) => `${module}${one}@${version}`));
    mkdirSync(path.join(folder, 'bin'), { recursive: true });
    await go('build', '-p', '2', '-trimpath', '-ldflags', '-s -w', '-tags', tags, '-o',
        `${folder}/bin/`, ...packages.map((one) => `${module}${one}`));
}

// A cut build goes on where it was.
export async function cargoInstall(folder, crate, version, { locked }) {
    const target = path.join(folder, 'target');
    await tool(folder, 'cargo', ['install', '--version', version, ...(locked ? ['--locked'] : []),
        '-j2', '--root', folder, crate], { CARGO_TARGET_DIR: target });
    rmSync(target, { recursive: true, force: true });
}

export async function npmInstall(folder, packages, overrides = {}) {
    writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ private: true, overrides }));
    await tool(folder, 'npm',
        ['install', '--no-audit', '--no-fund', '--ignore-scripts', ...packages]);
}

// The files of Debian packages, unpacked where no service is started by it.
export async function unpack(folder, packages) {
    await tool(folder, 'apt-get', ['download', ...packages]);
    const { stdout } = await run('sh', ['-c', 'ls *.deb'], { cwd: folder });
    for (const file of stdout.trim().split('\n')) await tool(folder, 'dpkg', ['-x', file, folder]);
}

export function accepts(port) {
    return new Promise((resolve) => {
        const socket = net.connect(port, '127.0.0.1');
        socket.on('connect', () => resolve(true) || socket.destroy());
        socket.on('error', () => resolve(false));
    });
}

// Until `isReady()`; the children's output says why when they end before or it takes too long.
export async function until(isReady, ...children) {
    const told = () => children.map((child) => child.text.slice(-500)).join('\n');
    let code;
    for (const child of children) child.ended.then((why) => (code = why));
    for (const end = Date.now() + READY_MS; !(await isReady()); await sleep(LOOK_MS)) {
        if (code !== undefined) throw new Error(`ended with ${code}: ${told()}`);
        if (Date.now() > end) throw new Error(`not ready: ${told()}`);
    }
}

// The ids of a process and of all it has forked.
function family(pid) {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return [pid, ...(children ? children.split(' ').flatMap((id) => family(Number(id))) : [])];
}

// Ends them, the last first, and waits for what they forked.
async function end(children) {
    const pids = children.flatMap(({ pid, exitCode }) => (exitCode === null ? family(pid) : []));
    for (const child of [...children].reverse()) {
        const killer = setTimeout(() => child.kill('SIGKILL'), END_MS);
        child.kill('SIGTERM');
        await child.ended;
        clearTimeout(killer);
    }
    await until(() => !pids.some((pid) => existsSync(`/proc/${pid}`)));
}

// What start() of a peer gives.  `way(launch)` starts its programs and resolves with the visitors'
// port; launch(role, file, args, env) runs one on the cores that `cpus` has for `relay` or `client`.
// `clear()` comes last.
export async function open(cpus = {}, way, clear = () => {}) {
    const children = { relay: [], client: [] };
    const stop = () => end([...children.relay, ...children.client]).finally(clear);
    const launch = (role, file, args, env = {}) => {
        const child = start('env', [...Object.entries(env).map(([key, value]) => `${key}=${value}`),
            ...(cpus[role] ? ['taskset', '-c', cpus[role]] : []), file, ...args.map(String)]);
        children[role].push(child);
        return child;
    };
    try {
        const visitPort = await way(launch);
        const pidsOf = (role) => children[role].flatMap(({ pid }) => family(pid));
        return { visitPort, relayPids: pidsOf('relay'), clientPids: pidsOf('client'), stop };
    } catch (err) {
        await stop();
        throw err;
    }
}

// Writes a configuration; gives its path.
export function write(folder, name, text, mode = 0o600) {
    const file = path.join(folder, name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, text, { mode });
    return file;
}

// A throw-away certificate for `localhost` that signs itself.
export function certificate(folder) {
    const cert = path.join(folder, 'tls.crt');
    const key = path.join(folder, 'tls.key');
    mkdirSync(folder, { recursive: true });
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
        '-nodes', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '7',
        '-keyout', key, '-out', cert], { stdio: 'ignore' });
    return { cert, key };
}
