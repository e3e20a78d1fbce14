// The processes of a measurement: started on free ports of loopback, their CPU and memory read from
// /proc, ended by their ids.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const tree = fileURLToPath(new URL('..', import.meta.url));
export const binary = process.env.RVPN_BIN ?? path.join(tree, 'build/release/rvpn');
export const HOST = 'bench.example';
const READY_MS = 10_000;

const started = new Set();
process.on('exit', () => started.forEach((child) => child.kill('SIGKILL')));

export function adopt(child) {
    started.add(child);
    child.on('exit', () => started.delete(child));
}

// A child that is dead when we are.  `ready` resolves with the first output that `isReady` likes.
export function start(file, args, isReady = () => true,
    { stdin = 'ignore', readyMs = READY_MS } = {}) {
    const env = Object.fromEntries(
        Object.entries(process.env).filter(([key]) => !key.startsWith('RVPN_')));
    const child = spawn(file, args.map(String), { env, stdio: [stdin, 'pipe', 'pipe'] });
    started.add(child);
    child.text = '';
    child.ended = new Promise((resolve) => child.on('close', (code, signal) => {
        started.delete(child);
        resolve(code ?? signal);
    }));
    child.ready = new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`${file}: not ready: ${child.text}`)), readyMs);
        const look = (text) => {
            if (child.text.length < 1e6) child.text += text;
            if (!isReady(child.text)) return;
            clearTimeout(late);
            resolve(child.text);
        };
        child.stdout.setEncoding('utf8').on('data', look);
        child.stderr.setEncoding('utf8').on('data', look);
        child.on('error', reject);
        child.ended.then((code) => {
            clearTimeout(late);
            reject(new Error(`${file} ended with ${code}: ${child.text}`));
        });
    });
    child.ready.catch(() => {}); // whoever waits for it is told
    return child;
}

export async function freePort() {
    const server = net.createServer();
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address();
    await new Promise((resolve) => server.close(resolve));
    return port;
}

// {child, port, token, ca, state, command}
export async function startRelay(folder, workers, flags = []) {
    const state = path.join(folder, 'state');
    const args = ['serve', '--listen', '127.0.0.1:0', '--state', state, '--workers', String(workers),
        ...flags];
    const child = start(binary, args, (text) => / listening .*\n/.test(text));
    const port = Number(/ listening .*?port=(\d+)/.exec(await child.ready)[1]);
    const token = execFileSync(binary, ['token', '--state', state, '--host', HOST]).toString().trim();
    const ca = readFileSync(path.join(state, 'certificate.pem'));
    return { child, port, token, ca, state, url: `wss://127.0.0.1:${port}/`,
        command: `rvpn serve --workers ${[workers, ...flags].join(' ')}` };
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// The value below which `share` of the numbers are.
export function quantile(numbers, share) {
    const sorted = [...numbers].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

// User and system seconds so far, of all threads that are still there.
export function cpuSeconds({ pid }) {
    const spent = (thread) =>
        Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => sum + spent(thread), 0) / 1e9;
}

function kilobytes(pid, name) {
    const line = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm');
    return Number(line.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

export const descriptors = ({ pid }) => readdirSync(`/proc/${pid}/fd`).length;
export const rssBytes = ({ pid }) => kilobytes(pid, 'VmRSS') * 1024;
export const peakBytes = ({ pid }) => kilobytes(pid, 'VmHWM') * 1024;

// From now on peakBytes() is that of what follows.
export function resetPeak({ pid }) {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

// pump.c with these arguments; `ready` once it listens or moves bytes, `done` gives its seconds.
export function startPump(args) {
    const file = path.join(tree, 'build/bench/pump');
    const child = start(file, args.map(String));
    child.moves = new Promise((resolve) => {
        child.stdout.on('data', () => child.text.includes('moving') && resolve());
    });
    child.done = child.ended.then((code) => {
        if (code !== 0) throw new Error(`pump ended with ${code}: ${child.text}`);
        return Number(child.text.trim().split('\n').at(-1));
    });
    return child;
}

export function within(promise, what, ms) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: not done in ${ms} ms`)), ms);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export function machine() {
    const read = (file) => readFileSync(file, 'utf8').trim();
    const info = read('/proc/cpuinfo');
    const version = (...command) => {
        const { stdout, stderr } = spawnSync(command[0], command.slice(1), { encoding: 'utf8' });
        return stdout === null ? 'none' : (stdout || stderr).split('\n')[0];
    };
    return {
        cores: Number(version('nproc')), model: /model name\s*: (.*)/.exec(info)?.[1],
        vaes: /\bvaes\b/.test(info) ? 'yes' : 'no', kernel: version('uname', '-r'),
        memory: `${(Number(/MemTotal:\s+(\d+)/.exec(read('/proc/meminfo'))[1]) / 2 ** 20).toFixed(1)} GiB`,
        tcp_congestion_control: read('/proc/sys/net/ipv4/tcp_congestion_control'),
        openssl: version('openssl', 'version').split(' ')[1], cc: version('cc', '--version'),
        haproxy: version('haproxy', '-v').split(' ')[2],
        nginx: version('nginx', '-v').split('/')[1] ?? 'none', node: process.version,
    };
}
