// A process of visitors: so many at once, each with a plan, each checking every byte it gets.
//
// from soak.mjs: {what: 'start', seed, part, slots, stuckMs, endMs, tenants, relay,
//     entrance},
//     {what: 'resetting', on}: chaos is about to reset everybody, or has; answered,
//     {what: 'finish'}: no new ones
// to it: {what: 'fault', text, lost, foreign},
//     {what: 'short', text, lost, tenant, device, life, from, to}: judged there,
//     {what: 'count', ...}, {what: 'finished'}
import net from 'node:net';
import { Check, DOWN, Pools, Source, UP, nameOf } from './pattern.mjs';
import { Random } from './random.mjs';
import { Head, clientHello, isRefusal, writeAsk } from './request.mjs';

const CHUNK = 65536;
const ADDRESSES = 8; // visitors come from 127.0.0.2 on
const GIVE_UP_MS = 2500; // a visitor in a black hole
const REFUSED_MS = 50;
const SLOW_MS = 50;
const SLOW_BYTES = 64 * 1024; // a slow visitor takes about so many each SLOW_MS

const count = { received: 0, sent: 0, connections: 0, streams: 0, whole: 0, faulted: 0, refused: 0,
    failed: 0, open: 0, late_resets: 0 };
const faults = {};
const visits = new Set();
let world;
let pools;
let random;
let streams = 0;
let resetting = false;
let finishing = false;

const note = (kind) => (faults[kind] = (faults[kind] ?? 0) + 1);

// ---- plans

const SIZES = {
    small: (r) => [r.scaled(1, 16384), r.scaled(1, 16384)],
    medium: (r) => [r.scaled(1000, 300e3), r.scaled(1000, 800e3)],
    down: (r) => [r.scaled(1, 1000), r.scaled(1e6, 12e6)],
    up: (r) => [r.scaled(1e6, 12e6), r.scaled(1, 1000)],
    both: (r) => [r.scaled(5e5, 6e6), r.scaled(5e5, 6e6)],
};
const HARMFUL = ['cut', 'hole', 'halfclose'];

// A fault of chaos, as chaos.mjs takes it.
function troubleOf(r, up, down) {
    const kind = r.weighted({ split: 3, delay: 3, rate: 2, cut: 4, hole: 1, halfclose: 2 });
    switch (kind) {
    case 'split':
        return { kind, split: up + down > 65536 ? r.scaled(700, 9000) : r.scaled(1, 300) };
    case 'delay':
        return { kind, delay: r.between(1, 8) };
    case 'rate':
        return { kind, rate: Math.max(20_000, Math.round((up + down) / 3)) };
    case 'halfclose':
        return { kind, halfclose: r.between(1, up + 100) };
    default:
        return { kind, [kind]: r.between(1, up + down + 200) };
    }
}

function planOf(r) {
    const tenant = world.tenants[Number(r.weighted(
        Object.fromEntries(world.tenants.map((t) => [t.tenant, t.weight]))))];
    const sizes = r.weighted({ small: 60, medium: 26, down: 5, up: 5, both: 4 });
    let [up, down] = SIZES[sizes](r);
    const weights = { http: 5, https: 3, tcp: 3 };
    const service = r.weighted(
        Object.fromEntries(tenant.services.map((s) => [s, weights[s]])));
    const plan = { tenant, service, both: r.chance(sizes === 'both' ? 1 : 0.3), fin: false, rounds: 1,
        port: service === 'tcp' ? tenant.port : world.relay.port,
        from: `127.0.0.${r.between(2, 1 + ADDRESSES)}` };
    const way = r.weighted({ direct: 62, chaos: 28, abort: 6, slow_visitor: 1.5, slow_device: 1.5 });
    if (way === 'chaos') {
        if (up + down > 2e6) [up, down] = [up, down].map((n) => Math.ceil(n / 6));
        plan.trouble = troubleOf(r, up, down);
    } else if (way === 'abort') plan.abortAt = r.between(1, up + down);
    else if (way === 'slow_visitor') {
        down = r.between(1e6, 5e6);
        plan.slow = true;
        note('slow_visitor');
    } else if (way === 'slow_device') {
        up = r.between(1e6, 5e6);
        plan.slowDevice = true;
        note('slow_device');
    }
    if (!plan.trouble && !plan.abortAt && service === 'http' && sizes === 'small')
        plan.rounds = r.one([1, 1, 2, 5]);
    else plan.fin = r.chance(0.25);
    return { ...plan, up, down };
}

// ---- one visitor

class Visit {
    constructor(plan) {
        Object.assign(this, { plan, round: 0, began: Date.now(), touched: resetting && plan.trouble,
            moved: 0, over: false, answeredBy: null });
        this.heard = this.began;
        count.connections++;
        count.open++;
        visits.add(this);
        const { trouble, port, from } = plan;
        const socket = this.socket = net.connect({ host: '127.0.0.1', allowHalfOpen: true,
            ...(trouble ? { port: world.entrance } : { port, localAddress: from }) });
        socket.setNoDelay(true);
        socket.on('connect', () => this.start());
        socket.on('data', (bytes) => this.take(bytes));
        socket.on('drain', () => this.send());
        socket.on('end', () => this.onEnd());
        socket.on('error', (err) => (this.error = err));
        socket.on('close', () => this.onClose());
        if (trouble?.kind === 'hole' || trouble?.kind === 'halfclose')
            this.giveUp = setTimeout(() => socket.destroy(), GIVE_UP_MS);
    }

    start() {
        const { trouble, port, from, service, tenant } = this.plan;
        if (trouble) {
            const { kind, ...how } = trouble;
            this.socket.write(JSON.stringify({ port, from, ...how }) + '\n');
        }
        if (service === 'https') this.socket.write(world.hellos[tenant.tenant]);
        this.ask();
    }

    ask() {
        const { plan } = this;
        const { tenant, service, both, slowDevice, up, down } = plan;
        this.stream = (world.part << 26 | streams++) >>> 0;
        this.last = ++this.round === plan.rounds;
        const id = { tenant: tenant.tenant, stream: this.stream };
        this.source = new Source(pools, { ...id, way: UP }, up);
        this.head = new Head(service, 'answer');
        this.check = new Check(pools, { ...id, way: DOWN }, down, (f) => this.fail(f));
        count.streams++;
        this.socket.write(writeAsk(service, tenant.host, { ...id, up, down, both: Number(both),
            slow: Number(slowDevice ?? 0), last: Number(this.last) }));
        this.send();
    }

    send() {
        if (this.over) return;
        this.heard = Date.now();
        while (this.source?.left) {
            const bytes = this.source.next(CHUNK);
            count.sent += bytes.length;
            const more = this.socket.write(bytes);
            if (this.step(bytes.length)) return;
            if (!more) return;
        }
        if (this.plan.fin && this.last && !this.ended && this.source) {
            this.ended = true;
            this.socket.end();
        }
    }

    // Returns whether the visitor has gone away, as planned.
    step(length) {
        this.moved += length;
        if (!this.plan.abortAt || this.moved < this.plan.abortAt || this.over) return false;
        note('abort');
        if (this.plan.abortAt % 2) this.socket.resetAndDestroy();
        else this.socket.destroy();
        return true;
    }

    take(bytes) {
        if (this.over) return;
        this.heard = Date.now();
        const length = bytes.length;
        if (this.head) {
            this.first ??= bytes;
            const found = this.head.feed(bytes);
            if (!found) return;
            this.head = null;
            if (!found.fields) {
                this.refuse(found.rest);
                return;
            }
            this.answeredBy = found.fields;
            bytes = found.rest;
        }
        count.received += Math.min(bytes.length, this.check.left);
        this.check.feed(bytes);
        if (this.check.wrong) {
            setTimeout(() => {
                this.check.close();
                this.socket.destroy();
            }, 500);
            return;
        }
        if (this.step(length)) return;
        if (this.plan.slow) this.slowDown(length);
        if (!this.check.whole) return;
        if (this.last) this.wholeAt = Date.now();
        else this.ask();
    }

    slowDown(length) {
        this.socket.pause();
        setTimeout(() => this.socket.resume(), SLOW_MS * length / SLOW_BYTES);
    }

    refuse(bytes) {
        if (isRefusal(this.plan.service, bytes)) this.refused = true;
        else {
            const text = bytes.subarray(0, 64).toString('latin1').replace(/[^ -~]/g, '.');
            this.fail({ text: `${this.what()}: not an answer: ${text}`, lost: 0,
                foreign: bytes.length });
        }
        this.socket.destroy();
    }

    onEnd() {
        this.gotEnd = true;
        if (this.head?.bytes.length && isRefusal(this.plan.service, this.head.bytes))
            this.refused = true;
        if (!this.ended) this.socket.end();
    }

    onClose() {
        if (this.over) return;
        this.over = true;
        clearTimeout(this.giveUp);
        this.check?.close();
        visits.delete(this);
        count.open--;
        this.conclude();
        if (this.answeredBy) refill();
        else setTimeout(refill, REFUSED_MS); // who is refused does not ask again at once
    }

    get whole() {
        return Boolean(this.last && this.check.whole && !this.source.left && !this.failed);
    }

    conclude() {
        const { plan } = this;
        if (this.failed) return;
        const spared = !plan.abortAt && !HARMFUL.includes(plan.trouble?.kind) && !this.touched;
        if (this.whole && spared && Date.now() - this.wholeAt > world.endMs) this.short();
        else if (this.whole) {
            count.whole++;
            if (this.error) count.late_resets++;
        } else if (spared) this.short();
        else count.faulted++;
    }

    what() {
        const { plan } = this;
        const trouble = plan.trouble ? JSON.stringify(plan.trouble) : 'no fault';
        return `${nameOf({ tenant: plan.tenant.tenant, stream: this.stream ?? '?', way: DOWN })} ` +
            `(${plan.service}, ${trouble}${plan.fin ? ', fin' : ''}${plan.both ? ', both' : ''}` +
            `${plan.slow ? ', slow' : ''}${plan.slowDevice ? ', slow device' : ''}, ` +
            `round ${this.round} of ${plan.rounds})`;
    }

    // Fewer bytes than were promised, or no end behind them, and none of our own faults to blame.
    short() {
        const { plan } = this;
        const { down, up } = plan;
        const got = this.check?.offset ?? 0;
        const left = this.source?.left ?? up;
        const how = this.whole ? 'no end in time' : this.stuck ? 'stuck' : this.refused ? 'refused'
            : this.error ? this.error.code ?? this.error.message : 'ended';
        if (this.refused) count.refused++;
        process.send({ what: 'short', text: `${this.what()}: ${how} after ${got} of ${down} bytes` +
            `${this.answeredBy ? '' : ', no answer'}, ${left} of ${up} not sent, ` +
            `${Date.now() - this.began} ms old`, lost: Math.max(1, down - got),
        tenant: plan.tenant.tenant, ...this.answeredBy, from: this.began, to: Date.now() });
    }

    fail({ text, lost, foreign }) {
        if (this.failed) return;
        this.failed = true;
        count.failed++;
        const by = this.answeredBy;
        process.send({ what: 'fault', lost, foreign,
            text: `${text} (${this.plan.service}${by ? `, device ${by.device} life ${by.life}` : ''})` });
    }

    // Neither moves nor ends.
    look(now) {
        if (now - this.heard < world.stuckMs) return;
        this.stuck = true;
        this.socket.destroy();
    }
}

// ---- all of them

function refill() {
    if (finishing) {
        if (!visits.size) process.send({ what: 'finished' });
        return;
    }
    setImmediate(() => {
        while (!finishing && visits.size < world.slots) new Visit(planOf(random));
    });
}

async function onMessage(m) {
    switch (m.what) {
    case 'start':
        world = m;
        random = new Random(m.seed, m.part);
        pools = new Pools(m.seed, m.tenants.length);
        world.hellos = await Promise.all(m.tenants.map((t) => clientHello(t.host)));
        refill();
        break;
    case 'resetting':
        resetting = m.on;
        if (m.on) for (const v of visits) v.touched ||= v.plan.trouble;
        process.send({ what: 'resetting' });
        break;
    case 'finish':
        finishing = true;
        if (!visits.size) process.send({ what: 'finished' });
        break;
    default:
        throw new Error(`unknown order ${m.what}`);
    }
}

process.on('message', onMessage);
process.on('disconnect', () => process.exit(0));
setInterval(() => {
    const now = Date.now();
    for (const v of visits) v.look(now);
    process.send({ what: 'count', ...count, faults });
}, 500);
