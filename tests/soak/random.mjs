// Choices that one printed seed repeats.  Each process, and each thing in it, draws from a line of
// its own, so that one does not shift the other's.
export class Random {
    constructor(seed, line = 0) {
        this.state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) + Math.imul(line, 0xc2b2ae35)) >>> 0;
        for (let i = 0; i < 4; i++) this.next();
    }

    // 0 to 1, 1 excluded (mulberry32)
    next() {
        this.state = (this.state + 0x6d2b79f5) >>> 0;
        let t = this.state;
        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    }

    chance(p) {
        return this.next() < p;
    }

    // A whole number, `from` to `to`, both included.
    between(from, to) {
        return from + Math.floor(this.next() * (to - from + 1));
    }

    // As between(), but each order of magnitude is as likely as the next.
    scaled(from, to) {
        return Math.round(from * (to / from) ** this.next());
    }

    one(list) {
        return list[Math.floor(this.next() * list.length)];
    }

    // A key of {key: weight, ...}.
    weighted(weights) {
        const entries = Object.entries(weights);
        let left = this.next() * entries.reduce((sum, [, w]) => sum + w, 0);
        for (const [key, weight] of entries) if ((left -= weight) < 0) return key;
        return entries[0][0];
    }
}
