// Relays against each other, round by round: what each costs, and its ratio to the first.
//
//     node bench/ab.mjs WORKS ROUNDS BIN BIN... [-- LOAD_OPTION...]
//
// WORKS, with commas between: down up both ask short touch handshakes, each perhaps with numbers:
// VISITORS, xFRAME bytes, /TUNNELS, as in "down:16x65536/4".  A BIN may carry flags: "rvpn --echo".
// LOAD is the generator, if it is not build/release/load; the relay runs on core 1, the load on 0.
// What follows "--" is for bench/load.c (see its --help): --messages 2, --by sni, --seconds 2.
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const tree = fileURLToPath(new URL('..', import.meta.url));
const LOAD = process.env.LOAD ?? path.join(tree, 'build/release/load');
const LOAD_CPU = '0';
const RELAY_CPU = '1';
const FLAGS = ['--workers', '1', '--handshakes-per-second', '0', '--log-level', 'info'];

const cut = process.argv.indexOf('--');
const [works, rounds, ...binaries] = process.argv.slice(2, cut < 0 ? undefined : cut);
const more = cut < 0 ? [] : process.argv.slice(cut + 1);
if (!binaries.length) {
    console.error('usage: ab.mjs WORKS ROUNDS BIN BIN... [-- LOAD_OPTION...]');
    process.exit(2);
}

const folder = mkdtempSync(path.join(tmpdir(), 'rvpn-ab-'));
const children = [];
process.on('exit', () => {
    children.forEach((child) => child.kill('SIGKILL'));
    rmSync(folder, { recursive: true, force: true });
});
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => process.exit(1));

async function startRelay(command, i) {
    const [binary, ...flags] = command.split(' ');
    const state = path.join(folder, String(i));
    const child = spawn('taskset', ['-c', RELAY_CPU, binary, 'serve', '--listen', '127.0.0.1:0',
        '--state', state, ...FLAGS, ...flags], { stdio: ['ignore', 'inherit', 'pipe'] });
    children.push(child);
    let text = '';
    for await (const data of child.stderr.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
        text += data;
        const port = / listening .*?port=(\d+)/.exec(text)?.[1];
        if (port) {
            child.stderr.resume();
            return { command, port, pid: child.pid, secret: path.join(state, 'secret') };
        }
    }
    throw new Error(`${command}: ${text}`);
}

function argumentsOf(work) {
    const [, what, visitors, frame, tunnels] = /^(\w+)(?::(\d+))?(?:x(\d+))?(?:\/(\d+))?$/.exec(work);
    return ['--work', what, '--visitors', visitors ?? '1', ...(frame ? ['--frame', frame] : []),
        ...(tunnels ? ['--tunnels', tunnels] : what === 'handshakes' ? ['--tunnels', '8'] : [])];
}

async function measure(relay, work) {
    const { stdout } = await promisify(execFile)(LOAD, ['--relay', relay.port, '--secret',
        relay.secret, '--watch', String(relay.pid), '--cpu', LOAD_CPU, '--seconds', '1.5',
        ...argumentsOf(work), ...more]);
    const seen = JSON.parse(stdout);
    return { per: seen.requests ? seen.us_per_request : seen.s_per_gb,
        unit: seen.requests ? 'us' : 's/GB', rate: seen.requests ? seen.per_second : seen.gbit_s };
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

const relays = await Promise.all(binaries.map(startRelay));
for (const work of works.split(',')) {
    const results = relays.map(() => []);
    for (let round = 0; round < Number(rounds); round++)
        for (let i = 0; i < relays.length; i++) {
            const turn = (i + round) % relays.length; // nobody is always first
            results[turn].push(await measure(relays[turn], work));
        }
    relays.forEach((relay, i) => {
        const ratios = results[i].map((r, round) => r.per / results[0][round].per);
        console.log(`${work.padEnd(18)} ${median(results[i].map((r) => r.per)).toFixed(3)} ` +
            `${results[i][0].unit.padEnd(4)} ${median(results[i].map((r) => r.rate)).toFixed(1)} ` +
            `${results[i][0].unit === 'us' ? '/s' : 'Gbit/s'}  x${median(ratios).toFixed(3)}  ` +
            `[${ratios.map((r) => r.toFixed(2)).join(' ')}]  ${relay.command}`);
    });
}
process.exit(0);
