// What visitors and devices of the soak say to each other before the pattern: who asks, for how many
// bytes each way, and who answers.  Every length is announced first, so that a cut shows.
//
//   http     a POST with its answer, in HTTP/1.1; more than one on a connection
//   https    a real ClientHello (the relay reads no further), then as tcp
//   tcp      one line, then the pattern; the answer is one line and the pattern
import tls from 'node:tls';
import { Duplex } from 'node:stream';

const LINE_MAX = 4096;

const text = (fields) => Object.entries(fields).map(([k, v]) => `${k}=${v}`).join('&');
const fieldsOf = (s) => Object.fromEntries(s.split('&').map((pair) => {
    const [key, value] = pair.split('=');
    return [key, Number(value)];
}));

// ask: {tenant, stream, up, down, both, slow, last}
export function writeAsk(service, host, ask) {
    const line = text(ask);
    if (service !== 'http') return Buffer.from(`SOAK ${line}\n`);
    return Buffer.from(`POST /soak?${line} HTTP/1.1\r\nHost: ${host}\r\n` +
        `Content-Length: ${ask.up}\r\nConnection: ${ask.last ? 'close' : 'keep-alive'}\r\n\r\n`);
}

// answer: {device, life}
export function writeAnswer(service, ask, answer) {
    if (service !== 'http') return Buffer.from(`SOAK ${text(answer)}\n`);
    return Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${ask.down}\r\nX-Soak: ${text(answer)}\r\n` +
        `Connection: ${ask.last ? 'close' : 'keep-alive'}\r\n\r\n`);
}

const ENDS = { http: '\r\n\r\n', https: '\n', tcp: '\n' };
const FORMS = {
    ask: { http: /^POST \/soak\?(\S+) HTTP\/1\.1\r\n/, line: /^SOAK (\S+)\n/ },
    answer: { http: /^HTTP\/1\.1 200 OK\r\n.*X-Soak: (\S+)\r\n/s, line: /^SOAK (\S+)\n/ },
};

// Collects a head that may come in any pieces.  feed() gives null while it is not whole, then
// {fields, rest}; fields is null if it is something else, whose first bytes are in `rest`.
export class Head {
    constructor(service, kind, { hello = false } = {}) {
        Object.assign(this, { service, hello, bytes: Buffer.alloc(0) });
        this.form = FORMS[kind][service === 'http' ? 'http' : 'line'];
    }

    feed(chunk) {
        this.bytes = this.bytes.length ? Buffer.concat([this.bytes, chunk]) : chunk;
        if (this.hello && !this.skipHello()) return null;
        const end = this.bytes.indexOf(ENDS[this.service]);
        if (end === -1)
            return this.bytes.length > LINE_MAX ? { fields: null, rest: this.bytes } : null;
        const size = end + ENDS[this.service].length;
        const m = this.form.exec(this.bytes.subarray(0, Math.min(size, LINE_MAX)).toString('latin1'));
        if (!m) return { fields: null, rest: this.bytes };
        return { fields: fieldsOf(m[1]), rest: this.bytes.subarray(size) };
    }

    // One TLS record of type handshake; whatever else it is then fails as a head.
    skipHello() {
        if (this.bytes.length && this.bytes[0] !== 22) this.hello = false;
        else if (this.bytes.length < 5) return false;
        else {
            const size = 5 + this.bytes.readUInt16BE(3);
            if (this.bytes.length < size) return false;
            this.bytes = this.bytes.subarray(size);
            this.hello = false;
        }
        return true;
    }
}

// The ClientHello that this Node would send for `host`.
export function clientHello(host) {
    return new Promise((resolve, reject) => {
        const wire = new Duplex({
            read() {},
            write(chunk, _, done) {
                resolve(Buffer.from(chunk));
                done();
                wire.destroy();
            },
        });
        tls.connect({ socket: wire, servername: host }).on('error', reject);
    });
}

// Whether these are the first bytes of a refusal by the relay, and not of an answer.
export function isRefusal(service, bytes) {
    if (service === 'http') return /^HTTP\/1\.1 [45]\d\d /.test(bytes.subarray(0, 16).toString('latin1'));
    return service === 'https' && bytes[0] === 21;
}
