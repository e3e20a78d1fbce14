// soak.mjs - a relay under devices, visitors and a bad network for as long as asked, with every byte
// checked.  Ends with one line, and with 0 only if all is well:
//
//     bytes=N connections=N faults=N lost=N foreign=N rss_slope_kib_per_min=N
//
// `bytes` of pattern were found right, in both directions; `lost` were promised, and fell short
// without a fault to blame; `foreign` are not what belongs where they came.
//
// usage: [SEED=n] [DEVICES=n] [VISITORS=n] [RVPN_BIN=relay] node soak.mjs [SECONDS]
//
// Processes: this one with the relay; device_part.mjs, twice; visitor_part.mjs; chaos.mjs.
import { fork } from 'node:child_process';
import { createWriteStream, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { measurable, removeFolder, slowness, temporaryFolder } from '../e2e/lib/paths.mjs';
import { Relay, freePort } from '../e2e/lib/relay.mjs';
import { deferred, until, within } from '../e2e/lib/wait.mjs';
import { cast } from './cast.mjs';
import { Windows, slope } from './judge.mjs';
import { Random } from './random.mjs';

const SECONDS = Number(process.argv[2] ?? 60);
const SEED = Number(process.env.SEED ?? Date.now() % 1e9);
const DEVICES = Number(process.env.DEVICES ?? 13);
const VISITORS = Number(process.env.VISITORS ?? 80);

const DEVICE_PARTS = 2;
const REPORT_S = 10;
const FAULT_MS = [400, 2500]; // from one fault of a device to the next
const RESET_MS = 29_000; // from one reset of all visitors to the next
const END_MS = 5000 * slowness; // an end may come so long after the last byte
const JUDGE_MS = 6000; // so long after a stream fell short all that excuses it is known, mostly
const JUDGES = 5; // how often one is judged before it is lost
const STUCK_MS = 45_000 * slowness; // neither a byte nor an end
const PING_S = 5 * slowness;
const PROBE_S = 2 * slowness;
const NAMED = 30; // troubles that are printed
const JUDGED_S = 30; // a shorter run says nothing about RSS over time
const DRIFT_KIB = 8192; // RSS may come to so much more from warm to the end, and when all have gone

const config = {
    tcp_ports: ['1024-65535'], tcp_bind: '127.0.0.1', half_close: `${10 + 10 * slowness}s`,
    ping_interval: `${PING_S}s`, ping_timeout: `${PING_S}s`, takeover_probe: `${PROBE_S}s`,
    stream_low: '64KiB', stream_high: '256KiB', stream_hard: '1MiB', grace: '10s', workers: 2,
};

// The relay, whose log goes to a file; what must not be in it is kept.
class SoakedRelay extends Relay {
    note(line) {
        this.file ??= createWriteStream(path.join(this.folder, 'relay.log'));
        this.file.write(line + '\n');
        if (/ (error|listening) |ERROR|runtime error/.test(line)) super.note(line);
    }

    status(name) {
        const text = readFileSync(`/proc/${this.process.pid}/status`, 'utf8');
        return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)[1]);
    }

    get fds() {
        return readdirSync(`/proc/${this.process.pid}/fd`).length;
    }
}

// A child process that talks in messages {what, ...}.
class Part {
    static all = [];

    constructor(file, onMessage) {
        this.count = {};
        this.answers = new Map();
        this.child = fork(fileURLToPath(new URL(file, import.meta.url)), [],
            { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
        this.child.on('exit', (code, signal) => this.over || die(`${file} ended: ${code ?? signal}`));
        this.child.on('message', (m) => {
            if (m.what === 'count') this.count = m;
            else if (this.answers.has(m.what)) {
                this.answers.get(m.what).resolve(m);
                this.answers.delete(m.what);
            } else onMessage(m);
        });
        Part.all.push(this);
    }

    send(m) {
        this.child.send(m);
    }

    // The next message `what` from it.
    answer(what, ms = 30_000 * slowness) {
        const d = deferred();
        this.answers.set(what, d);
        return within(d.promise, `${what} of a part`, ms);
    }

    ask(m, what = m.what) {
        const answer = this.answer(what);
        this.send(m);
        return answer;
    }

    stop() {
        this.over = true;
        if (this.child.connected) this.child.disconnect();
        setTimeout(() => this.child.kill('SIGKILL'), 2000).unref();
    }
}

function die(why) {
    console.log(`soak: ${why}`);
    for (const part of Part.all) part.child.kill('SIGKILL');
    relay?.process?.kill('SIGKILL');
    process.exit(1);
}

const random = new Random(SEED);
const { tenants, devices } = cast(DEVICES);
const windows = new Windows(devices);
const result = { lost: 0, foreign: 0, excused: 0, wrong: 0 };
const deviceFaults = {};
const closers = [];
const folder = temporaryFolder();
let relay;
let chaos;
let visitors;
let parts; // of devices
let began;
let unjudged = 0; // streams that have fallen short
let ending = false; // from here on no tunnel may be blamed for falling

function trouble(text, { lost = 0, foreign = 0 } = {}) {
    result.lost += lost;
    result.foreign += foreign;
    if (++result.wrong > NAMED) return;
    const s = began ? ((Date.now() - began) / 1000).toFixed(1) : 0;
    console.log(`  ${s} s: ${lost ? `LOST ${lost}: ` : foreign ? `FOREIGN ${foreign}: ` : 'WRONG: '}${text}`);
}

// ---- what the parts say

function onVisitors(m) {
    if (m.what === 'fault') trouble(m.text, m);
    else if (m.what === 'short') {
        unjudged++;
        setTimeout(judge, JUDGE_MS, m, JUDGES);
    }
}

// Behind a link that stands still a device learns late that its tunnel has fallen.
function judge(m, more) {
    if (!windows.excuses(m) && more > 1) {
        setTimeout(judge, JUDGE_MS, m, more - 1);
        return;
    }
    unjudged--;
    if (windows.excuses(m)) result.excused++;
    else trouble(`${m.text}${m.device === undefined ? '' : ` (device ${m.device} life ${m.life})`}`, m);
}

function onDevices(m) {
    if (m.what === 'fault') trouble(m.text, m);
    else if (m.what === 'stopping') windows.open(m.device, { lives: [m.life], from: m.at });
    else if (m.what === 'up') windows.up(m.device, m.life, m.at);
    else if (m.what === 'down' && !windows.down(m.device, m.life, m.at) && !ending)
        trouble(`the tunnel of device ${m.device} life ${m.life} fell, and nobody had touched it`,
            { lost: 1 });
}

// ---- the scene

async function start() {
    relay = await SoakedRelay.start({ relays: [], after: (close) => closers.push(close),
        folder: () => folder }, { config, folder, args: ['--log-level', 'info'] });
    chaos = new Part('chaos.mjs', () => {});
    const entrance = (await chaos.answer('entrance')).port;
    for (const t of tenants) t.port = await freePort();
    for (const d of devices) await prepare(d);
    await relay.fetch('/api/tunnels'); // what the first request makes is not counted as a leak
    const baseline = { fds: relay.fds, kib: relay.status('VmRSS') };
    parts = Array.from({ length: DEVICE_PARTS }, () => new Part('device_part.mjs', onDevices));
    for (const [i, part] of parts.entries())
        part.send({ what: 'start', seed: SEED, tenants: tenants.length,
            devices: devices.filter((d) => d.device % DEVICE_PARTS === i), relay: { ca: relay.ca } });
    await until(() => devices.every((d) => windows.lives.get(d.device).size),
        'all devices to be in', 30_000 * slowness);
    visitors = new Part('visitor_part.mjs', onVisitors);
    began = Date.now();
    visitors.send({ what: 'start', seed: SEED, part: 1, slots: VISITORS, stuckMs: STUCK_MS,
        endMs: END_MS, tenants, relay: { port: relay.port }, entrance });
    return baseline;
}

async function prepare(d) {
    const { host, subject, port } = tenants[d.tenant];
    d.token = relay.token({ sub: subject, hosts: [host], ports: [port],
        device: { hostname: `device-${d.device}` } });
    d.port = relay.port;
    if (d.link) d.port = (await chaos.ask({ what: 'link', link: d.device, port: relay.port }, 'linked')).port;
}

// ---- faults of devices

const KINDS = { kill: 3, close: 1, takeover: 3, cut: 3, hole: 1, halfclose: 1, stall: 3, split: 1,
    delay: 1, rate: 1 };
const NEEDS_LINK = new Set(['cut', 'hole', 'halfclose', 'stall', 'split', 'delay', 'rate']);
const PASSING = new Set(['stall', 'split', 'delay', 'rate']); // nothing need be lost to these

const partOf = (d) => parts[d.device % DEVICE_PARTS];

function hurt() {
    const d = random.one(devices);
    const kind = random.weighted(KINDS);
    const ms = random.between(500, 4000);
    if (NEEDS_LINK.has(kind) && !d.link) return;
    if (windows.lives.get(d.device).size !== 1) return; // not yet over the last one
    deviceFaults[`device_${kind}`] = (deviceFaults[`device_${kind}`] ?? 0) + 1;
    if (kind === 'kill' || kind === 'close')
        partOf(d).send({ what: kind, device: d.device });
    else if (kind === 'takeover') {
        if (d.link && ms % 2) {
            windows.open(d.device, { hidden: PROBE_S * 1000 + ms });
            chaos.send({ what: 'fault', link: d.device, kind: 'hole' });
        }
        partOf(d).send({ what: 'takeover', device: d.device, ms });
    } else {
        const [life] = windows.lives.get(d.device);
        windows.open(d.device, { ms: PASSING.has(kind) ? ms : undefined,
            hidden: kind === 'hole' ? 2 * PING_S * 1000 : 0 });
        chaos.send({ what: 'fault', link: d.device, kind, ms });
        // whoever has not noticed by then is started again by its owner
        if (kind === 'hole' || kind === 'halfclose')
            setTimeout(() => ending || partOf(d).send({ what: 'kill', device: d.device, life }), 3 * ms);
    }
}

async function hurtAll(until_) {
    let reset = Date.now() + Math.min(RESET_MS, SECONDS * 500);
    while (Date.now() < until_) {
        await new Promise((resolve) => setTimeout(resolve, random.between(...FAULT_MS)));
        windows.forget();
        if (Date.now() < until_) hurt();
        if (Date.now() < reset) continue;
        reset += RESET_MS;
        await visitors.ask({ what: 'resetting', on: true });
        await chaos.ask({ what: 'reset' });
        await visitors.ask({ what: 'resetting', on: false });
    }
}

// ---- figures

const sum = (key) => parts.reduce((all, p) => all + (p.count[key] ?? 0), 0);
const bytes = () => (visitors.count.received ?? 0) + sum('received');

function faults() {
    const all = { ...chaos.count.count };
    for (const more of [visitors.count.faults, deviceFaults])
        for (const [kind, n] of Object.entries(more ?? {})) all[kind] = (all[kind] ?? 0) + n;
    return all;
}

const faultCount = () => Object.values(faults()).reduce((all, n) => all + n, 0);

function report() {
    const v = visitors.count;
    const kinds = Object.entries(faults()).sort().map(([kind, n]) => `${kind}=${n}`).join(' ');
    console.log(`${Math.round((Date.now() - began) / 1000)} s bytes=${bytes()} ` +
        `connections=${v.connections} streams=${v.streams} whole=${v.whole} faulted=${v.faulted} ` +
        `excused=${result.excused} lost=${result.lost} foreign=${result.foreign} ` +
        `faults=${faultCount()} (${kinds}) rss=${relay.status('VmRSS')}KiB fds=${relay.fds} ` +
        `open=${v.open}/${sum('open')}`);
}

const samples = [];

function sample() {
    samples.push({ minutes: (Date.now() - began) / 60_000, kib: relay.status('VmRSS') });
}

function rssSlope() {
    const warm = Math.min(60, SECONDS / 5) / 60;
    return slope(samples.filter((s) => s.minutes > warm && s.minutes <= SECONDS / 60));
}

// ---- the end

// A check that must hold soon: `probe` gives what is wrong, or nothing.
async function soon(probe, ms = 45_000 * slowness) {
    const end = Date.now() + ms;
    for (;;) {
        const wrong = await probe();
        if (!wrong) return;
        if (Date.now() > end) {
            trouble(wrong, { lost: 1 });
            return;
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
}

// The relay's counters against what the devices saw, where one tunnel of a device is up.
async function compareCounters() {
    const seen = (await Promise.all(parts.map((p) => p.ask({ what: 'totals' })))).flatMap((m) => m.list);
    const tunnels = await relay.tunnels();
    for (const t of seen) {
        const own = tunnels.filter((u) => u.label === `device-${t.device}`);
        if (own.length !== 1 || seen.filter((s) => s.device === t.device).length !== 1) continue;
        const who = `device ${t.device} life ${t.life}`;
        if (own[0].payload_to_device !== t.received)
            return `${who} has got ${t.received} bytes, the relay counts ${own[0].payload_to_device}`;
        if (own[0].payload_to_visitor > t.sent)
            return `${who} has sent ${t.sent} bytes, the relay counts ${own[0].payload_to_visitor}`;
    }
    return '';
}

async function streamsOpen() {
    const open = (await relay.tunnels()).filter((t) => t.streams_open);
    return open.length ? `${open[0].label} has ${open[0].streams_open} streams, and no visitor is there` : '';
}

async function finish(baseline) {
    const finished = visitors.answer('finished', STUCK_MS + 60_000);
    visitors.send({ what: 'finish' });
    await finished;
    await until(() => unjudged === 0, 'all to be judged', JUDGE_MS * (JUDGES + 1));
    await soon(streamsOpen);
    await soon(compareCounters);
    ending = true;
    await Promise.all(parts.map((p) => p.ask({ what: 'stop' }, 'stopped')));
    await soon(async () => (await relay.tunnels()).length ? 'tunnels are left, and no device is there' : '');
    await soon(() => relay.fds > baseline.fds ? `${relay.fds} descriptors, ${baseline.fds} before` : '');
    const kib = relay.status('VmRSS') - baseline.kib;
    console.log(`all have left: ${relay.fds} descriptors (${baseline.fds} before), RSS ${kib} KiB more than before`);
    if (measurable && kib > DRIFT_KIB) trouble(`RSS is ${kib} KiB more than before, and nobody is there`);
    report();
    relay.signal('SIGTERM');
    const { code, signal } = await within(relay.exited.promise, 'the relay to end', 30_000 * slowness);
    if (code !== 0) trouble(`the relay ended with ${code ?? signal}`);
    for (const e of relay.events.filter((e) => e.event !== 'listening')) trouble(`log: ${e.line}`);
}

function verdict() {
    const growth = rssSlope();
    const minutes = Math.max(SECONDS / 60, 0.5);
    const most = Math.round(DRIFT_KIB / minutes + DRIFT_KIB / minutes ** 2); // queues come and go
    if (measurable && SECONDS >= JUDGED_S && growth > most) trouble(`RSS grows by ${growth} KiB a minute, more than ${most}`);
    if (result.excused) console.log(`${result.excused} streams were cut by faults of their devices`);
    if (result.wrong) console.log(`${result.wrong} troubles; SEED=${SEED}; log: ${folder}/relay.log`);
    else removeFolder(folder);
    console.log(`bytes=${bytes()} connections=${visitors.count.connections} faults=${faultCount()} ` +
        `lost=${result.lost} foreign=${result.foreign} rss_slope_kib_per_min=${growth}`);
    return result.wrong ? 1 : 0;
}

async function main() {
    console.log(`soak: ${SECONDS} s, SEED=${SEED}, ${devices.length} devices of ${tenants.length} ` +
        `tenants, ${VISITORS} visitors at once`);
    const baseline = await start();
    relay.exited.promise.then(({ code, signal }) => ending || die(`the relay ended: ${code ?? signal}`));
    const end = began + SECONDS * 1000;
    const reporter = setInterval(report, REPORT_S * 1000);
    const sampler = setInterval(sample, 1000);
    await hurtAll(end);
    clearInterval(reporter);
    clearInterval(sampler);
    await finish(baseline);
    const status = verdict();
    for (const part of Part.all) part.stop();
    process.exitCode = status;
}

process.on('SIGINT', () => die('interrupted'));
process.on('SIGTERM', () => die('interrupted'));
main().catch((err) => die(err.stack));
