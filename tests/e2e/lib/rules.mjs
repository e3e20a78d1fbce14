// A judge beside each device: reads everything the relay sends on one WebSocket and says which rule
// of the wire protocol it broke for a client of that age.  It reads strictly and tells at once; the
// device itself goes on behaving as its age did.
import { Reader, cidOf } from './packers.mjs';
import { serverName } from './client_hello.mjs';

const FIRST_ALONE_MS = 100; // nothing follows the first frame of a stream unanswered before this
const TIMER_SLACK_MS = 10;
const REUSE_MS = 1000; // an ended stream's address may not come again sooner
const HOST = /(?:^|[\r\n])Host: ([^\r\n]+)/im;
const SERVICES = new Set(['http', 'https', 'tcp']);

// How long ago this process last looked at its sockets: what it sees as simultaneous may have come
// that far apart.
let previousTick = performance.now();
let lastTick = previousTick;
setInterval(() => {
    previousTick = lastTick;
    lastTick = performance.now();
}, 5).unref();

// traits of an age: {name, takesControl, takesFlow, emptyEnd, tcpFirst, onePerMessage}
export class Judge {
    constructor(traits, violate) {
        Object.assign(this, traits);
        this.violate = (why) => violate(`class ${this.name}: ${why}`);
        this.reader = new Reader('at-once', (f) => this.frame(f), (b) =>
            this.violate(`a frame begins with byte ${b[0]}`));
        this.streams = new Map(); // cid -> {since, answered, messages, lag}
        this.endedAt = new Map(); // cid -> when the relay ended it
        this.leftAt = new Map(); // cid -> when the device ended it; late data may still come
        this.messages = 0;
        this.frames = 0;
        this.sentControl = false;
        this.openTrick = null;
    }

    message(data, isText) {
        this.messages++;
        this.now = performance.now();
        if (isText) {
            this.text(data);
            return;
        }
        const before = this.frames;
        this.reader.feed(data);
        if (this.openTrick)
            this.violate('an opening frame without a whole frame behind it in its message');
        this.openTrick = null;
        if (this.onePerMessage && (this.frames !== before + 1 || this.reader.rest.length))
            this.violate(`${this.frames - before} frames in one message`);
    }

    text(data) {
        let error;
        try {
            ({ error } = JSON.parse(data));
        } catch {
            error = null;
        }
        if (this.frames || !error?.message || !error.code)
            this.violate(`text message: ${data.subarray(0, 80)}`);
    }

    frame(f) {
        if (!this.frames && this.takesControl && !/^\[1,\s*"hello",/.test(f.body))
            this.violate(`first frame is not hello: ${f.header}`);
        this.frames++;
        if (f.service === 'control') {
            this.control(f);
            return;
        }
        if (f.fields.length !== 7) this.violate(`${f.fields.length} fields: ${f.header}`);
        if (!/^(0|[1-9]\d*)$/.test(f.lengthText)) this.violate(`length "${f.lengthText}"`);
        if (!/^IPv[46]$/.test(f.family) || !f.address || !/^\d+$/.test(f.port))
            this.violate(`address of ${f.header}`);
        if (this.openTrick && cidOf(f) === this.openTrick)
            this.violate('a second frame of the stream behind its opening frame');
        this.openTrick = null;
        switch (f.service) {
        case 'end':
        case 'error':
            this.end(f);
            break;
        case 'pause':
        case 'resume':
            this.flowControl(f);
            break;
        case 'connection':
            this.violate('a connection frame');
            break;
        default:
            this.data(f);
        }
    }

    control(f) {
        if (!this.takesControl) this.violate(`control frame: ${f.body}`);
        if (!f.header.equals(Buffer.from(`,,,${f.body.length},control`)))
            this.violate(`control header ${f.header}`);
        try {
            if (!Array.isArray(JSON.parse(f.body))) throw new Error();
        } catch {
            this.violate(`control body: ${f.body}`);
        }
    }

    end(f) {
        const cid = cidOf(f);
        const body = f.body.toString();
        if (this.emptyEnd && body.length) this.violate(`${f.service} with a body`);
        if (!this.emptyEnd && f.service === 'end' && body !== ' ')
            this.violate(`end with body "${body}"`);
        if (!this.emptyEnd && f.service === 'error' && body !== ' ' && !isErrorBody(body))
            this.violate(`error with body "${body}"`);
        if (f.service === 'end' && this.endedAt.has(cid)) this.violate(`second end of ${cid}`);
        if (this.streams.has(cid)) this.follows(cid, f.service);
        this.streams.delete(cid);
        remember(this.endedAt, cid, this.now);
    }

    flowControl(f) {
        const cid = cidOf(f);
        if (!this.takesFlow) this.violate(`${f.service} frame`);
        if (!this.sentControl) this.violate(`${f.service} before a control frame of the device`);
        if (!/^\d+$/.test(f.body)) this.violate(`${f.service} with body "${f.body}"`);
        if (this.streams.has(cid)) this.follows(cid, f.service);
        else if (this.endedAt.has(cid)) this.violate(`${f.service} after end of ${cid}`);
    }

    data(f) {
        const cid = cidOf(f);
        if (!SERVICES.has(f.service)) this.violate(`service "${f.service}"`);
        if (this.now - (this.leftAt.get(cid) ?? -Infinity) < REUSE_MS) return;
        if (!/^\d+$/.test(f.serviceport)) this.violate(`service port "${f.serviceport}"`);
        if (f.service !== 'tcp' && !f.name) this.violate(`no name: ${f.header}`);
        if (this.streams.has(cid)) {
            if (!f.body.length) this.violate(`empty data frame of ${cid}`);
            this.follows(cid, 'data');
            return;
        }
        const endedFor = this.now - (this.endedAt.get(cid) ?? -Infinity);
        if (endedFor < REUSE_MS) this.violate(`${cid} again ${Math.round(endedFor)} ms after end`);
        this.endedAt.delete(cid);
        this.first(f);
        this.streams.set(cid, {
            since: this.now, lag: this.now - previousTick, message: this.messages, answered: false,
        });
    }

    first(f) {
        const text = f.body.toString('latin1');
        if (!f.body.length) {
            if (f.service !== 'tcp' || !this.tcpFirst) this.violate(`empty data frame: ${f.header}`);
            this.openTrick = cidOf(f);
        } else if (f.service === 'https' && !serverName(f.body)) {
            this.violate('first https frame without a whole ClientHello');
        } else if (f.service === 'http') {
            const host = HOST.exec(text)?.[1];
            if (!host) this.violate('first http frame without Host');
        }
    }

    // A later frame of a stream: the first one must have been answered, or be old enough.
    follows(cid, kind) {
        const s = this.streams.get(cid);
        if (s.answered) return;
        const gap = this.now - s.since + s.lag;
        if (s.message === this.messages) this.violate(`${kind} in the message of a first frame`);
        else if (gap < FIRST_ALONE_MS - TIMER_SLACK_MS)
            this.violate(`${kind} ${gap.toFixed(1)} ms after a first frame`);
        else s.answered = true;
    }

    // The device has sent a frame.
    sent(kind, cid) {
        if (kind === 'control') this.sentControl = true;
        const s = this.streams.get(cid);
        if (s) s.answered = true;
    }

    // The relay has closed in an orderly way.
    closed() {
        if (this.streams.size)
            this.violate(`closed with ${this.streams.size} streams open`);
    }

    // The device has ended a stream itself: the relay owes it nothing more.
    ended(cid) {
        this.streams.delete(cid);
        remember(this.leftAt, cid, performance.now());
    }
}

// Keeps the newest thousands.
function remember(map, key, value) {
    map.delete(key);
    map.set(key, value);
    if (map.size > 4096) map.delete(map.keys().next().value);
}

function isErrorBody(text) {
    try {
        const error = JSON.parse(text);
        return Boolean(error.message && error.code);
    } catch {
        return false;
    }
}
