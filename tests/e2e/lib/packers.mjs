// How the clients of each age write and read M-PROXY v1, re-created from what they put on the wire
// (tests/vectors/mproxy-frames.json holds the originals' own bytes) with the flaws of their parsers.
//
// writer: data(meta, body), end(meta), error(meta, detail?), pause(meta, count), resume(meta, count),
//         control(list).  Each gives a list of byte strings: one WebSocket message each.
// reader: feed(chunk), calls back onFrame({family, address, port, length, service, serviceport,
//         name, body, fields, header}).
import { createRequire } from 'node:module';

export const original = createRequire(import.meta.url)('proxy-packer'); // 2.x, the real one

const VERSION_BYTE = 0xfe;
const SPACE = Buffer.from(' ');

function join(fields, body) {
    const header = Buffer.from(fields.join(','));
    return Buffer.concat([Buffer.from([VERSION_BYTE, header.length]), header, body]);
}

function address(meta) {
    return [meta.family, meta.address, meta.port];
}

// What differs between the ages: how an absent body is written, and which fields follow the service.
function writer({ empty, tail, service = (meta) => meta.service }) {
    const note = (meta, kind, body) =>
        [join([...address(meta), body.length, kind, ...tail(meta)], body)];
    return {
        data: (meta, body) =>
            [join([...address(meta), body.length, service(meta), ...tail(meta)], body)],
        end: (meta) => note(meta, 'end', empty),
        error: (meta, detail) =>
            note(meta, 'error', detail ? Buffer.from(JSON.stringify(detail)) : empty),
        pause: (meta, count) => note(meta, 'pause', Buffer.from(String(count))),
        resume: (meta, count) => note(meta, 'resume', Buffer.from(String(count))),
        control: (list) => {
            const body = Buffer.from(JSON.stringify(list));
            return [join(['', '', '', body.length, 'control'], body)];
        },
    };
}

const noTail = () => [];
const portAndName = (meta) => [meta.serviceport ?? '', meta.name ?? ''];

export const writers = {
    '1.1': writer({ empty: Buffer.from([0]), tail: noTail }),
    1.4: writer({ empty: SPACE, tail: noTail }),
    '1.4.3': writer({ empty: SPACE, tail: portAndName }),
    '2.0': writerOf2(),
    go: writerOfGo(),
};

// The daemon of 2018-10 and later writes header and body as two messages, and `end` without a body.
function writerOf2() {
    const split = (meta, body, kind) => {
        const header = original.packHeader({ ...meta }, body, kind);
        return body?.length ? [header, body] : [header];
    };
    return {
        data: (meta, body) => split(meta, body),
        end: (meta) => split(meta, null, 'end'),
        error: (meta, detail) =>
            split(meta, detail ? Buffer.from(JSON.stringify(detail)) : null, 'error'),
        pause: (meta, count) => [original.pack({ ...meta }, Buffer.from(String(count)), 'pause')],
        resume: (meta, count) => [original.pack({ ...meta }, Buffer.from(String(count)), 'resume')],
        control: (list) => [original.pack(null, list, 'control')],
    };
}

// The Go client of 2020: eight fields, the last a line feed, no service on data, no control at all.
function writerOfGo() {
    const note = (meta, kind) => [join([...address(meta), 0, kind, 0, '', '\n'], Buffer.alloc(0))];
    return {
        data: (meta, body) => [join([...address(meta), body.length, '',
            meta.serviceport, meta.name, '\n'], body)],
        end: (meta) => note(meta, 'end'),
        error: (meta) => note(meta, 'error'),
    };
}

export function parseHeader(header) {
    const fields = header.toString('latin1').split(',');
    const [family, addressText, port, length, service, serviceport, name] = fields;
    return {
        header, fields, family, address: addressText, port, lengthText: length,
        length: parseInt(length, 10) || 0, service, serviceport, name,
    };
}

export const cidOf = (frame) => `${frame.family},${frame.address},${frame.port}`;

// Reads as the ages did.  `zero` is what an empty body does to the parser:
//   'step-back'  1.0, 1.1: it steps back one byte and never finds a frame again
//   'next-byte'  1.3 to 1.4.3: the frame is delivered when the byte after it comes
//   'at-once'    a parser without the flaw
// A wrong first byte is only noted (`onCorrupt`), as the originals only log it.
export class Reader {
    constructor(zero, onFrame, onCorrupt = () => {}) {
        Object.assign(this, { zero, onFrame, onCorrupt, rest: Buffer.alloc(0), frame: null });
        this.looked = false; // at the first byte of the next frame
    }

    feed(chunk) {
        this.rest = this.rest.length ? Buffer.concat([this.rest, chunk]) : chunk;
        while (this.frame ? this.takeBody() : this.takeHeader());
    }

    takeHeader() {
        const b = this.rest;
        if (b.length && !this.looked && b[0] !== VERSION_BYTE) this.onCorrupt(b);
        this.looked = b.length > 0;
        if (b.length < 2 || b.length < 2 + b[1]) return false;
        this.looked = false;
        this.frame = parseHeader(b.subarray(2, 2 + b[1]));
        this.rest = b.subarray(2 + b[1]);
        if (this.frame.length === 0 && this.zero === 'step-back') {
            this.rest = b.subarray(1 + b[1]);
            this.deliver(Buffer.alloc(0));
        }
        return true;
    }

    takeBody() {
        const { length } = this.frame;
        if (length === 0 && this.zero === 'next-byte' && !this.rest.length) return false;
        if (this.rest.length < length) return false;
        const body = this.rest.subarray(0, length);
        this.rest = this.rest.subarray(length);
        this.deliver(body);
        return true;
    }

    deliver(body) {
        const frame = this.frame;
        this.frame = null;
        this.onFrame({ ...frame, body });
    }
}

// The real reader of proxy-packer 2.x behind the same calls.  It gives no header text.
export class OriginalReader {
    constructor(onFrame) {
        const deliver = (service) => (m) => onFrame({ ...m, service: service ?? m.service,
            body: m.data });
        this.machine = original.create({
            onmessage: deliver(), oncontrol: deliver('control'), onconnection: deliver('connection'),
            onerror: deliver('error'), onend: deliver('end'), onpause: deliver('pause'),
            onresume: deliver('resume'),
        });
    }

    feed(chunk) {
        this.machine.fns.addChunk(chunk);
    }
}
