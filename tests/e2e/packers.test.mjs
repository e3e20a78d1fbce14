// The re-created packers against the bytes that the originals wrote.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { golden } from './lib/paths.mjs';
import { OriginalReader, Reader, original, parseHeader, writers } from './lib/packers.mjs';

const rows = JSON.parse(readFileSync(golden, 'utf8'));
const meta = () => ({
    family: 'IPv4', address: '203.0.113.9', port: '40001',
    service: 'https', serviceport: '443', name: 'x.example.com',
});
const commands = ['add_token', 'delete_token', 'auth', 'authn', 'authz'];
const noConnection = { message: 'no matching connection', code: 'E_NO_CONN' };
const grant = [2, 'grant', [['ssh+https', 'x.example.com', 443], ['ssh', 'ssh.example.com', [30001]],
    ['tcp', 'tcp.example.com', [30001]], ['https', 'x.example.com']]];

// What each recorded call is in our words.
const calls = {
    'pack(a,"hello")': (w) => w.data(meta(), Buffer.from('hello')),
    'pack(a,null,"end")': (w) => w.end(meta()),
    'pack(a,null,"error")': (w) => w.error(meta()),
    'pack(a,{message,code},"error")': (w) => w.error(meta(), noConnection),
    'pack(a,1234567,"pause")': (w) => w.pause(meta(), 1234567),
    'pack(a,1234567,"resume")': (w) => w.resume(meta(), 1234567),
    'pack(null,[1,"hello",..],"control")': (w) => w.control([1, 'hello', [1], commands]),
    'pack(null,[-1,null],"control")': (w) => w.control([-1, null]),
    'pack(null,[2,"grant",..],"control")': (w) => w.control(grant),
};
const age = { '1.1': '1.1', 1.4: '1.4', '1.4.3r': '1.4.3' };

for (const row of rows.filter((r) => age[r.packer]))
    test(`packer ${row.packer} writes ${row.call} as the original did`, () => {
        const bytes = Buffer.concat(calls[row.call](writers[age[row.packer]]));
        assert.equal(bytes.toString('hex'), row.hex);
    });

test('packer 2.0 writes header and body as two messages and end without a body', () => {
    const hex = (what) => rows.find((r) => r.packer === '2.0.4' && r.what === what).hex;
    const header = hex('data header only (body = next ws message)');
    const refused = { message: 'connect ECONNREFUSED 127.0.0.1:1', code: 'ECONNREFUSED' };
    const asHex = (list) => list.map((b) => b.toString('hex'));
    const w = writers['2.0'];

    assert.deepEqual(asHex(w.data(meta(), Buffer.from('hello'))),
        [header, Buffer.from('hello').toString('hex')]);
    assert.deepEqual(asHex(w.end(meta())), [hex('end (0 body)')]);
    assert.equal(asHex(w.error(meta(), refused)).join(''),
        rows.findLast((r) => r.packer === '2.0.4' && r.what === 'error').hex);
    assert.deepEqual(asHex(w.pause(meta(), 1234567)), [hex('pause')]);
    assert.deepEqual(asHex(w.control([-1, null])), [hex('ack of hello')]);
});

test('packer 2.0 from the registry still writes the recorded bytes', () => {
    const hex = rows.find((r) => r.packer === '2.0.4' && r.what === 'data').hex;
    assert.equal(original.pack(meta(), Buffer.from('hello')).toString('hex'), hex);
});

test('the Go client writes eight fields without a service', () => {
    const a = { family: 'IPv4', address: '9.8.7.6', port: '4321', serviceport: '80',
        name: 'dev1.localhost' };
    const [data] = writers.go.data(a, Buffer.alloc(155));
    assert.equal(data.subarray(0, 44).toString('latin1'),
        '\xfe\x2aIPv4,9.8.7.6,4321,155,,80,dev1.localhost,\n');
    assert.equal(writers.go.end(a)[0].toString('latin1'), '\xfe\x1cIPv4,9.8.7.6,4321,0,end,0,,\n');
});

const zeroEnd = Buffer.from('\xfe\x0dIPv4,x,1,0,end', 'latin1');
zeroEnd[1] = zeroEnd.length - 2;
const next = writers['1.4'].data({ family: 'IPv4', address: 'y', port: '2', service: 'http' },
    Buffer.from('abc'))[0];

function services(reader, ...chunks) {
    const seen = [];
    const r = reader((frame) => seen.push(`${frame.service}:${frame.body ?? ''}`));
    const after = chunks.map((chunk) => {
        r.feed(chunk);
        return seen.length;
    });
    return { seen, after };
}

test('a zero-length frame costs a reader of 1.1 its stream', () => {
    let corrupt = 0;
    const { seen } = services((f) => new Reader('step-back', f, () => corrupt++), zeroEnd, next);
    assert.equal(corrupt > 0, true);
    assert.equal(seen.includes('http:abc'), false);
});

test('a zero-length frame waits for the next byte in a reader of 1.4', () => {
    const { seen, after } = services((f) => new Reader('next-byte', f), zeroEnd, next);
    assert.deepEqual(after, [0, 2]);
    assert.deepEqual(seen, ['end:', 'http:abc']);
});

test('a zero-length frame is delivered at once by the original 2.0 reader', () => {
    const { seen, after } = services((f) => new OriginalReader(f), zeroEnd, next);
    assert.deepEqual(after, [1, 2]);
    assert.deepEqual(seen, ['end:', 'http:abc']);
});

for (const [name, reader] of [
    ['1.1', (f) => new Reader('step-back', f)],
    ['1.4', (f) => new Reader('next-byte', f)],
    ['2.0', (f) => new OriginalReader(f)],
])
    test(`reader ${name} takes every recorded frame one byte at a time`, () => {
        const whole = rows.filter((r) => r.packer === '1.4' || r.packer === '1.4.3r')
            .map((r) => Buffer.from(r.hex, 'hex'));
        const seen = [];
        const r = reader((frame) => seen.push(frame.service));
        for (const byte of Buffer.concat(whole)) r.feed(Buffer.from([byte]));
        assert.deepEqual(seen, whole.map((b) =>
            parseHeader(b.subarray(2, 2 + b[1])).service));
    });
