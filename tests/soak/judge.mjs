// What a stream may be short of, and what the figures come to.
//
// A window is the time in which one tunnel of a device (a `life` of it) was hurt on purpose: from
// the fault to its end, and for those who never learned which device they had, until the device was
// back and the relay can be expected to know.  A stream that fell short outside of the windows of
// its own tunnel has lost bytes.

const SLACK_MS = 1500; // what was under way when a window opened or closed
const FELL_MS = 20_000; // how long after a fault a tunnel may still be given up for it

export class Windows {
    constructor(devices) {
        this.devices = devices; // [{device, tenant}]
        this.list = [];
        this.lives = new Map(devices.map((d) => [d.device, new Set()])); // those that are up
    }

    // A fault is about to hit these tunnels of the device; by itself all that it has.
    //   ms      it is over then, and excuses nothing unless the tunnel has fallen
    //   hidden  the relay may take the tunnel for alive so long
    open(device, { lives = this.lives.get(device), ms, hidden = 0, from = Date.now() }) {
        const { tenant } = this.devices[device];
        const to = ms ? from + ms : Infinity;
        for (const life of lives)
            this.list.push({ device, tenant, life, from, to, back: to, fell: !ms,
                known: from + hidden });
    }

    up(device, life, now) {
        this.lives.get(device).add(life);
        for (const w of this.list)
            if (w.device === device && w.back === Infinity && w.to !== Infinity) w.back = now;
    }

    // Returns whether somebody had a hand in it.
    down(device, life, now) {
        const others = this.lives.get(device);
        others.delete(life);
        const own = this.list.filter((w) => w.device === device && w.life === life &&
            now < w.to + FELL_MS);
        for (const w of own) {
            w.fell = true;
            w.to = now;
            w.back = others.size ? now : Infinity;
        }
        return own.length > 0;
    }

    excuses({ tenant, device, life, from, to }) {
        return this.list.some((w) => w.fell && w.tenant === tenant && w.from <= to + SLACK_MS &&
            (device === undefined ? Math.max(w.back, w.known) + SLACK_MS >= from
                : w.device === device && w.life === life && w.to + SLACK_MS >= from));
    }

    // Keeps the list short; streams are not as old as that.
    forget(ageMs = 600_000) {
        const since = Date.now() - ageMs;
        this.list = this.list.filter((w) => w.from > since || w.back === Infinity);
    }
}

// The straight line through samples [{minutes, kib}]: KiB per minute.
export function slope(samples) {
    const n = samples.length;
    if (n < 2) return 0;
    const mean = (f) => samples.reduce((sum, s) => sum + f(s), 0) / n;
    const [x, y] = [mean((s) => s.minutes), mean((s) => s.kib)];
    const over = mean((s) => (s.minutes - x) * (s.kib - y));
    const under = mean((s) => (s.minutes - x) ** 2);
    return under ? Math.round(over / under) : 0;
}
