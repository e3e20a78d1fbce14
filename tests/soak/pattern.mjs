// The bytes of every stream: a function of (tenant, stream, direction, offset), so that a byte that
// is lost, doubled, out of order or somebody else's is seen, and its true place named.
//
// A tenant has a pool of random bytes.  A stream's bytes are those of its tenant's pool from a place
// of its own, and every BLOCK of them begins with a stamp that says whose and where they are.  So
// both making and checking them are copies and compares of whole blocks, at the speed of memory.
import { createCipheriv, createHash } from 'node:crypto';

export const UP = 0; // visitor to device
export const DOWN = 1;
const WAYS = ['up', 'down'];

const POOL = 4 << 20;
const BLOCK = 4096;
const STAMP = 24; // bytes: magic, tenant, way, nothing, stream, offset (6), its complement (6)
const MAGIC = Buffer.from('rvSK');
const NAMING = 3 * BLOCK; // so many wrong bytes hold a whole stamp
const NEEDLE = 24;

export class Pools {
    constructor(seed, tenants) {
        this.list = Array.from({ length: tenants }, (_, tenant) => {
            const key = createHash('sha256').update(`soak ${seed} ${tenant}`).digest();
            const bytes = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
                .update(Buffer.alloc(POOL));
            return Buffer.concat([bytes, bytes.subarray(0, BLOCK)]); // a block is never in two parts
        });
    }

    // Where the pool is, for a place of a stream.
    position({ stream, way }, offset) {
        const start = Math.imul(stream * 2 + way + 1, 0x9e3779b1) >>> 0;
        return (start + offset - offset % BLOCK) % POOL + offset % BLOCK;
    }

    // Writes the bytes of `id` from `offset` on into out[].
    fill(id, offset, out) {
        const pool = this.list[id.tenant];
        for (let at = 0; at < out.length;) {
            const within = (offset + at) % BLOCK;
            const length = Math.min(BLOCK - within, out.length - at);
            const p = this.position(id, offset + at);
            pool.copy(out, at, p, p + length);
            if (within < STAMP)
                stampOf(id, offset + at - within).copy(out, at, within, Math.min(STAMP, within + length));
            at += length;
        }
        return out;
    }

    // How many of in[] are what belongs at `offset`.
    same(id, offset, input) {
        const pool = this.list[id.tenant];
        for (let at = 0; at < input.length;) {
            const within = (offset + at) % BLOCK;
            const length = Math.min(BLOCK - within, input.length - at);
            const stamped = Math.max(0, Math.min(STAMP - within, length));
            if (stamped) {
                const stamp = stampOf(id, offset + at - within);
                if (stamp.compare(input, at, at + stamped, within, within + stamped))
                    return at + agree(stamp, within, input, at, stamped);
            }
            const p = this.position(id, offset + at);
            if (pool.compare(input, at + stamped, at + length, p + stamped, p + length))
                return at + stamped + agree(pool, p + stamped, input, at + stamped, length - stamped);
            at += length;
        }
        return input.length;
    }
}

function agree(a, at, b, from, length) {
    let n = 0;
    while (n < length && a[at + n] === b[from + n]) n++;
    return n;
}

const scratch = Buffer.alloc(STAMP);

function stampOf({ tenant, stream, way }, offset) {
    MAGIC.copy(scratch);
    scratch.writeUInt16BE(tenant, 4);
    scratch.writeUInt16BE(way, 6);
    scratch.writeUInt32BE(stream, 8);
    scratch.writeUIntBE(offset, 12, 6);
    scratch.writeUIntBE(2 ** 48 - 1 - offset, 18, 6);
    return scratch;
}

// The first whole stamp in bytes[]: {at, id, offset}.
function findStamp(bytes, tenants) {
    for (let at = bytes.indexOf(MAGIC); at !== -1 && at + STAMP <= bytes.length;
        at = bytes.indexOf(MAGIC, at + 1)) {
        const id = { tenant: bytes.readUInt16BE(at + 4), way: bytes.readUInt16BE(at + 6),
            stream: bytes.readUInt32BE(at + 8) };
        const offset = bytes.readUIntBE(at + 12, 6);
        if (id.tenant < tenants && id.way < 2 && offset + bytes.readUIntBE(at + 18, 6) === 2 ** 48 - 1)
            return { at, id, offset };
    }
    return null;
}

export const nameOf = ({ tenant, stream, way }) => `tenant ${tenant} stream ${stream} ${WAYS[way]}`;

// The bytes of one stream, in turn.
export class Source {
    constructor(pools, id, size) {
        Object.assign(this, { pools, id, size, offset: 0 });
    }

    get left() {
        return this.size - this.offset;
    }

    next(length) {
        const out = this.pools.fill(this.id, this.offset, Buffer.allocUnsafe(Math.min(length, this.left)));
        this.offset += out.length;
        return out;
    }
}

// Reads a stream and says, once, what is wrong with it: onFault({text, lost, foreign}).
export class Check {
    constructor(pools, id, size, onFault) {
        Object.assign(this, { pools, id, size, onFault, offset: 0, wrong: null, told: false });
    }

    get whole() {
        return this.offset === this.size && !this.wrong;
    }

    get left() {
        return this.size - this.offset;
    }

    // Takes bytes[]; more than are left are wrong.
    feed(bytes) {
        if (!this.wrong) {
            const due = bytes.length > this.left ? bytes.subarray(0, this.left) : bytes;
            const good = this.pools.same(this.id, this.offset, due);
            this.offset += good;
            if (good === bytes.length) return;
            this.wrong = [];
            this.wrongBytes = 0;
            bytes = bytes.subarray(good);
        }
        if (this.told) return;
        this.wrong.push(bytes);
        this.wrongBytes += bytes.length;
        if (this.wrongBytes >= NAMING) this.close();
    }

    // Nothing more comes.
    close() {
        if (!this.wrong || this.told) return;
        this.told = true;
        this.onFault(this.describe(Buffer.concat(this.wrong)));
    }

    describe(bytes) {
        const here = `${nameOf(this.id)} offset ${this.offset} of ${this.size}`;
        const changed = this.changedAt(bytes);
        if (changed)
            return { lost: 0, foreign: changed, text: `${here}: ${changed} bytes are changed` };
        const origin = this.originOf(bytes);
        if (!origin) {
            const text = bytes.subarray(0, 48).toString('latin1').replace(/[^ -~]/g, '.');
            return { lost: 0, foreign: bytes.length,
                text: `${here}: ${bytes.length} bytes of no stream: ${text}` };
        }
        const { id, offset, length } = origin;
        const own = id.stream === this.id.stream && id.tenant === this.id.tenant &&
            id.way === this.id.way;
        if (own && offset > this.offset)
            return { lost: offset - this.offset, foreign: 0,
                text: `${here}: ${offset - this.offset} bytes are lost here` };
        if (own)
            return { lost: 0, foreign: length,
                text: `${here}: ${length} bytes or more from offset ${offset} on come again` };
        return { lost: 0, foreign: length,
            text: `${here}: ${length} bytes or more of ${nameOf(id)} offset ${offset}` };
    }

    // How many wrong bytes stand in the place of right ones; 0 if not a few.
    changedAt(bytes) {
        const due = this.pools.fill(this.id, this.offset, Buffer.alloc(Math.min(bytes.length, BLOCK)));
        let last = due.length;
        while (last > 0 && due[last - 1] === bytes[last - 1]) last--;
        return due.length - last >= NEEDLE && last <= BLOCK / 16 ? last : 0;
    }

    // Where bytes[0] truly belongs: {id, offset, length: so many bytes of it}; null if nowhere.
    originOf(bytes) {
        const stamp = findStamp(bytes, this.pools.list.length);
        if (stamp && stamp.offset >= stamp.at) {
            const offset = stamp.offset - stamp.at;
            const length = this.pools.same(stamp.id, offset, bytes);
            if (length > 0) return { id: stamp.id, offset, length };
        }
        return this.searchOwn(bytes) ?? this.searchPools(bytes);
    }

    // A little further on, or a little back, in the same stream: short gaps and repeats.
    searchOwn(bytes) {
        const near = 2 * BLOCK;
        const from = Math.max(0, this.offset - near);
        const around = this.pools.fill(this.id, from, Buffer.alloc(this.offset + near - from));
        const at = around.indexOf(bytes.subarray(0, NEEDLE));
        if (at === -1 || bytes.length < 4) return null;
        return { id: this.id, offset: from + at, length: this.pools.same(this.id, from + at, bytes) };
    }

    // Less than a block, without a stamp: only the tenant can be told, and that it is another place.
    searchPools(bytes) {
        if (bytes.length < 8) return null;
        for (const [tenant, pool] of this.pools.list.entries()) {
            if (pool.indexOf(bytes.subarray(0, NEEDLE)) === -1) continue;
            return { id: { tenant, stream: '?', way: this.id.way }, offset: '?', length: bytes.length };
        }
        return null;
    }
}
