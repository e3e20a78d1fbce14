// Storms: DEVICES are all cut at once and all come back at once, STORMS times; by turns they cut
// their connections themselves, or their processes are killed and others start.  For each: how long
// until all serve again, how many had to wait or were refused, what the relay holds afterwards, and
// what a good visitor feels meanwhile.  See run.sh.
import { fork } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { Device, answerOf, forkDevice } from './device.mjs';
import { adopt, cpuSeconds, machine, quantile, rssBytes, sleep, startRelay,
    tree } from './process.mjs';
import { askVisitor, forkVisitor } from './visitor.mjs';

const DEVICES = Number(process.env.DEVICES ?? 5000);
const STORMS = Number(process.env.STORMS ?? 10);
const FLAGS = process.env.FLAGS?.split(' ') ?? [];
// All devices share this machine's cores, where real ones have their own: patience with them.
const PATIENCE = ['sniff', 'handshake', 'auth'].flatMap((what) => [`--${what}-timeout`, '2m']);
const RESUME = process.env.RESUME === '1'; // devices keep the relay's tickets
const CROWDS = 4; // processes that they share
const AGAIN_MS = 1000; // who was refused tries again after this
const REST_MS = 4000; // between storms: by then the relay has given back what it will
const self = fileURLToPath(import.meta.url);

// A process of devices.  Told "come", all of them connect; told "cut", all cut and connect again.
async function crowd({ url, ca, tokens, localAddress }) {
    const secureContext = tls.createSecureContext({ ca }); // one for all, to spare this machine
    let devices = [], session;
    const open = async (token) => {
        const options = { secureContext, localAddress, session };
        const device = await Device.open({ url, token, tls: options });
        if (RESUME) device.ws._socket.on('session', (ticket) => (session = ticket));
        device.ws.on('error', () => {});
        return device;
    };
    const come = async () => {
        const refusals = {};
        const one = async (token) => {
            for (;;) {
                try {
                    return await open(token);
                } catch (err) {
                    const why = err.code ?? err.message;
                    refusals[why] = (refusals[why] ?? 0) + 1;
                    await sleep(AGAIN_MS);
                }
            }
        };
        devices = await Promise.all(tokens.map(one));
        process.send(refusals);
    };
    process.on('message', (word) => {
        if (word === 'cut') for (const device of devices) device.close();
        come();
    });
    process.send('ready');
}

async function forkCrowds(relay, tokens) {
    const part = Math.ceil(tokens.length / CROWDS);
    const crowds = Array.from({ length: CROWDS }, (_, i) => {
        const child = fork(self, ['crowd'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
        adopt(child);
        child.send({ url: relay.url, ca: relay.ca.toString(), localAddress: `127.0.0.${i + 2}`,
            tokens: tokens.slice(i * part, i * part + part) });
        return child;
    });
    await Promise.all(crowds.map(answerOf));
    return crowds;
}

function sign(claims, secret) {
    const text = [{ alg: 'HS256', typ: 'JWT' }, claims]
        .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

// What /api/relay says.
function countsOf({ port, ca, admin }) {
    return new Promise((resolve, reject) => {
        const request = https.get({ port, host: '127.0.0.1', path: '/api/relay', agent: false, ca,
            headers: { Authorization: `Bearer ${admin}` } }, (response) => {
            let text = '';
            response.on('data', (data) => (text += data));
            response.on('end', () => resolve(JSON.parse(text)));
        });
        request.on('error', reject);
    });
}

const sumOf = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);

async function storm(relay, visitor, crowds, word) {
    const before = await countsOf(relay);
    const cpu = cpuSeconds(relay.child);
    await askVisitor(visitor);
    const from = performance.now();
    const ends = crowds.map(answerOf);
    for (const child of crowds) child.send(word);
    const refusals = await Promise.all(ends);
    const seconds = (performance.now() - from) / 1000;
    const felt = await askVisitor(visitor);
    const cpuSpent = cpuSeconds(relay.child) - cpu;
    const after = await countsOf(relay);
    const refused = sumOf(after.refused) - sumOf(before.refused);
    for (const [why, times] of Object.entries(after.refused))
        if (times > before.refused[why]) console.log(`  refused: ${times - before.refused[why]} ${why}`);
    for (const each of refusals) if (sumOf(each)) console.log('  failed:', JSON.stringify(each));
    await sleep(REST_MS);
    return { seconds, felt, refused, refusals: refusals.reduce((a, b) => a + sumOf(b), 0), cpuSpent,
        waited: after.handshakes_waited - before.handshakes_waited, tunnels: after.tunnels,
        handshakes: after.handshakes - before.handshakes, rss: rssBytes(relay.child) };
}

const widths = [14, 8, 8, 8, 8, 8, 10, 16, 16, 7];
const line = (cells) => cells.map((c, i) => String(c).padStart(widths[i])).join(' ');

function print(name, r) {
    const pair = (ms) => [0.5, 0.99].map((q) => quantile(ms, q).toFixed(2)).join(' / ');
    console.log(line([name, r.seconds.toFixed(1), r.waited ?? '', r.refused ?? '', r.refusals ?? '',
        r.cpuSpent?.toFixed(1) ?? '', (r.rss / 2 ** 20).toFixed(1), pair(r.felt.kept),
        pair(r.felt.fresh), r.felt.failed]));
}

async function main() {
    const folder = mkdtempSync(path.join(tmpdir(), 'rvpn-bench-'));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => process.exit(1));
    const relay = await startRelay(folder, 2, [...PATIENCE, ...FLAGS]);
    const secret = readFileSync(path.join(relay.state, 'secret'), 'utf8').trimEnd();
    relay.admin = sign({ scope: 'admin' }, secret);
    const tokens = Array.from({ length: DEVICES }, (_, i) =>
        sign({ domains: [`d${i}.bench.example`] }, secret));
    await forkDevice(relay);
    const visitor = await forkVisitor(relay.port);
    console.log(Object.entries(machine()).map(([k, v]) => `${k} ${v}`).join(', '));
    console.log(`DEVICES=${DEVICES} STORMS=${STORMS} bench/run.sh storm   (${relay.command})`);
    console.log('all serve again after seconds; of the relay: who waited, who was refused, CPU, RSS');
    console.log(line(['storm', 'seconds', 'waited', 'refused', 'failed', 'CPU s', 'RSS MiB',
        'kept p50 / p99', 'fresh p50 / p99', 'failed']));
    await sleep(REST_MS);
    const alone = { seconds: REST_MS / 1000, felt: await askVisitor(visitor), rss: rssBytes(relay.child) };
    print('before', alone);
    const storms = [];
    let crowds = await forkCrowds(relay, tokens);
    for (let i = 0; i <= STORMS; i++) {
        const kills = i % 2 === 0 && i > 0;
        const next = kills ? await forkCrowds(relay, tokens) : crowds;
        if (kills) for (const child of crowds) {
            child.removeAllListeners('exit');
            child.kill('SIGKILL');
        }
        crowds = next;
        const result = await storm(relay, visitor, crowds, kills || i === 0 ? 'come' : 'cut');
        print(i === 0 ? 'the first time' : `${i} ${kills ? 'killed' : 'cut'}`, result);
        storms.push(result);
        if (result.tunnels < DEVICES) throw new Error(`only ${result.tunnels} tunnels`);
    }
    for (const child of crowds) child.kill('SIGKILL');
    await sleep(2 * REST_MS);
    const end = { seconds: 2 * REST_MS / 1000, felt: await askVisitor(visitor), rss: rssBytes(relay.child) };
    print('all gone', end);
    console.log(relay.child.text.split('\n').filter((l) => / handshakes_flow /.test(l))
        .map((l) => l.replace(/^\S+ /, '')).join('\n'));
    const file = path.join(tree, 'build/bench/storm.json');
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify({ machine: machine(), alone, storms, end }));
    process.exit(0);
}

if (process.argv[2] === 'crowd') {
    process.on('disconnect', () => process.exit(0));
    process.once('message', crowd);
} else {
    await main();
}
