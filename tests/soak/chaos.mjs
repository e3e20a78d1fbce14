// The bad network: a process that stands between visitors and the relay and between devices and the
// relay, and hurts the connections through it.
//
// Visitors come to one port and say in a first line of JSON where they want to go and what is to
// happen to them, so that they know what they have a right to:
//     {port, from, split: BYTES, delay: MS, rate: BYTES/S,             harmless
//      cut: BYTES, hole: BYTES, halfclose: BYTES}                      not
// `cut` resets both ends after so many bytes, `hole` keeps them open and moves nothing more,
// `halfclose` ends the visitor's direction towards the relay.
//
// A device has a port of its own, a link; faults come by message and hit what is connected then:
//     {what: 'link', link, port}                    answered with {what: 'linked', link, port}
//     {what: 'fault', link, kind, ms}               cut, hole, halfclose; for `ms`: stall, split,
//                                                   delay, rate
//     {what: 'reset'}                               all visitors' connections; answered
import net from 'node:net';

const PLAN_MAX = 1024;
const HOLE_MS = { visitor: 5000, device: 30_000 }; // how long a black hole lasts, at most
const pairs = new Set();
const links = new Map();
const count = {};

const note = (kind) => (count[kind] = (count[kind] ?? 0) + 1);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// One direction of a connection.
class Way {
    constructor(pair, from, to) {
        Object.assign(this, { pair, from, to, queue: [], running: false, ended: false });
        from.on('data', (chunk) => this.take(chunk));
        from.on('end', () => this.end());
        to.on('drain', () => this.running || this.pair.still || from.resume());
    }

    // Nothing more comes; what waits still goes.
    end() {
        this.ended = true;
        if (!this.running) this.finish();
    }

    take(chunk) {
        const { pair } = this;
        if (!this.running && !pair.troubled) {
            if (!this.to.write(chunk)) this.from.pause();
            return;
        }
        this.queue.push(chunk);
        this.from.pause();
        if (!this.running) this.run().catch(() => pair.reset());
    }

    async run() {
        this.running = true;
        while (this.queue.length && !this.pair.over) {
            const chunk = this.queue.shift();
            const step = this.pair.plan.split ?? chunk.length;
            for (let at = 0; at < chunk.length && !this.pair.over; at += step)
                await this.pass(chunk.subarray(at, at + step));
        }
        this.running = false;
        if (this.ended) this.finish();
        else if (!this.pair.still) this.from.resume();
    }

    async pass(piece) {
        const { pair } = this;
        const { split, delay, rate } = pair.plan;
        const ms = (delay ?? 0) + (rate ? piece.length / rate * 1000 : 0);
        if (ms) await pause(ms);
        else if (split) await new Promise(setImmediate);
        if (pair.still) await pair.untilMoving;
        if (pair.over || pair.holed) return;
        const going = pair.allow(this, piece);
        if (!going.length || this.to.destroyed || this.shut) return;
        if (!this.to.write(going)) await this.drained();
        pair.after(this);
    }

    drained() {
        return new Promise((resolve) => {
            const go = () => {
                this.to.off('drain', go).off('close', go);
                resolve();
            };
            this.to.on('drain', go).on('close', go);
        });
    }

    finish() {
        if (!this.pair.holed && !this.shut) this.to.end();
    }
}

class Pair {
    constructor(near, far, plan = {}) {
        Object.assign(this, { near, far, plan, moved: 0, holed: false, still: false, over: false });
        this.up = new Way(this, near, far);
        this.down = new Way(this, far, near);
        pairs.add(this);
        for (const [socket, other] of [[near, far], [far, near]]) {
            socket.setNoDelay(true);
            socket.on('error', () => {});
            socket.on('close', (bad) => this.onClose(socket, other, bad));
        }
        for (const kind of ['split', 'delay', 'rate']) if (plan[kind]) note(kind);
    }

    // Whether bytes have to go the slow way.
    get troubled() {
        const { plan } = this;
        return this.still || this.holed || plan.split || plan.delay || plan.rate || plan.cut ||
            plan.hole || plan.halfclose;
    }

    onClose(socket, other, bad) {
        if (this.near.destroyed && this.far.destroyed) {
            this.over = true;
            pairs.delete(this);
        } else if (this.holed) return; // nobody is told
        else if (bad) other.resetAndDestroy();
        else (socket === this.near ? this.up : this.down).end();
        this.move();
    }

    // How much of `piece` may still go before the plan's end.
    allow(way, piece) {
        const { cut, hole, halfclose } = this.plan;
        const limit = cut ?? hole ?? (way === this.up ? halfclose : undefined);
        if (limit === undefined) return piece;
        const due = way === this.up && halfclose !== undefined ? this.upMoved ?? 0 : this.moved;
        const going = piece.subarray(0, Math.max(0, limit - due));
        this.moved += going.length;
        if (way === this.up) this.upMoved = (this.upMoved ?? 0) + going.length;
        this.spent = going.length < piece.length;
        if (this.spent && !going.length) this.after(way);
        return going;
    }

    after(way) {
        if (!this.spent) return;
        this.spent = false;
        const { cut, hole } = this.plan;
        if (cut !== undefined) this.fault('cut');
        else if (hole !== undefined) this.fault('hole');
        else if (!way.shut) {
            note('halfclose');
            way.shut = true;
            way.to.end();
        }
    }

    fault(kind, ms) {
        if (this.over || this.holed) return;
        if (this.visitor) note(kind); // a device's are counted by who orders them
        if (kind === 'cut') this.reset();
        else if (kind === 'hole') this.vanish();
        else if (kind === 'halfclose') {
            this.up.shut = true;
            this.far.end();
        } else if (kind === 'stall') {
            this.stop();
            setTimeout(() => this.holed || this.move(), ms);
        } else {
            this.plan = { split: { split: 97 }, delay: { delay: 20 }, rate: { rate: 4e6 } }[kind];
            setTimeout(() => (this.plan = {}), ms);
        }
    }

    // Nobody is told, and nobody who goes is noticed.
    vanish() {
        this.holed = true;
        this.stop();
        setTimeout(() => this.over || this.reset(), HOLE_MS[this.visitor ? 'visitor' : 'device']);
    }

    stop() {
        if (!this.still) this.untilMoving = new Promise((resolve) => (this.wake = resolve));
        this.still = true;
        this.near.pause();
        this.far.pause();
    }

    move() {
        if (!this.still) return;
        this.still = false;
        this.wake();
        for (const way of [this.up, this.down]) if (!way.running) way.from.resume();
    }

    reset() {
        this.over = true;
        this.near.resetAndDestroy();
        this.far.resetAndDestroy();
        pairs.delete(this);
        this.move();
    }
}

function open(near, port, from, plan) {
    near.pause();
    const far = net.connect({ port, host: '127.0.0.1', localAddress: from, allowHalfOpen: true });
    const refused = () => near.resetAndDestroy();
    far.once('error', refused);
    near.on('error', () => far.destroy());
    return new Promise((resolve) => far.once('connect', () => {
        far.off('error', refused);
        if (near.destroyed) {
            far.resetAndDestroy();
            return;
        }
        const pair = new Pair(near, far, plan);
        near.resume();
        resolve(pair);
    }));
}

// Its first line says the plan.
function onVisitor(near) {
    let head = Buffer.alloc(0);
    near.on('error', () => {});
    const onData = (chunk) => {
        head = Buffer.concat([head, chunk]);
        const end = head.indexOf('\n');
        if (end === -1 && head.length < PLAN_MAX) return;
        near.off('data', onData);
        const { port, from, ...plan } = JSON.parse(head.subarray(0, end));
        if (head.length > end + 1) near.unshift(head.subarray(end + 1));
        open(near, port, from, plan).then((pair) => (pair.visitor = true));
    };
    near.on('data', onData);
}

function listen(onSocket) {
    return new Promise((resolve) => {
        const server = net.createServer({ allowHalfOpen: true }, onSocket);
        server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 }, () => resolve(server.address().port));
    });
}

async function onMessage(m) {
    if (m.what === 'link') {
        links.set(m.link, new Set());
        const port = await listen((near) => open(near, m.port).then((pair) => {
            links.get(m.link).add(pair);
            near.on('close', () => links.get(m.link).delete(pair));
        }));
        process.send({ what: 'linked', link: m.link, port });
    } else if (m.what === 'fault') {
        for (const pair of links.get(m.link)) pair.fault(m.kind, m.ms);
    } else if (m.what === 'reset') {
        note('reset_all');
        for (const pair of [...pairs]) if (pair.visitor) pair.reset();
        process.send({ what: 'reset' });
    }
}

process.on('message', onMessage);
process.on('disconnect', () => process.exit(0));
process.send({ what: 'entrance', port: await listen(onVisitor) });
setInterval(() => process.send({ what: 'count', count, pairs: pairs.size }), 500);
