// ClientHellos: made, and looked into.
import net from 'node:net';
import tls from 'node:tls';

// What a TLS visitor of `host` sends first.
export async function clientHello(host) {
    const server = net.createServer();
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const hello = new Promise((resolve) => server.on('connection', (s) => s.once('data', (d) => {
        resolve(d);
        s.destroy();
    })));
    tls.connect({ port: server.address().port, host: '127.0.0.1', servername: host })
        .on('error', () => {});
    try {
        return await hello;
    } finally {
        server.close();
    }
}

// The server name of a whole ClientHello, or null: what `sni` 1.0.0 did for the clients of 2016.
export function serverName(bytes) {
    const hello = handshake(bytes);
    if (!hello || hello[0] !== 1) return null;
    let at = 4 + 2 + 32;
    at += 1 + hello[at];
    at += 2 + hello.readUInt16BE(at);
    at += 1 + hello[at];
    const end = at + 2 + hello.readUInt16BE(at);
    at += 2;
    while (at + 4 <= end) {
        const type = hello.readUInt16BE(at);
        const length = hello.readUInt16BE(at + 2);
        if (type === 0) return hello.subarray(at + 9, at + 9 + hello.readUInt16BE(at + 7)).toString();
        at += 4 + length;
    }
    return null;
}

// The handshake message out of its TLS records; null unless it is all there.
function handshake(bytes) {
    const parts = [];
    for (let at = 0; at + 5 <= bytes.length && bytes[at] === 22;) {
        const length = bytes.readUInt16BE(at + 3);
        parts.push(bytes.subarray(at + 5, at + 5 + length));
        at += 5 + length;
    }
    const message = Buffer.concat(parts);
    if (message.length < 4 || message.length < 4 + message.readUIntBE(1, 3)) return null;
    return message;
}
