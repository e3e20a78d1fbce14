// Which release of each peer is measured.  Another one is tried by changing its line.
export default {
    frp: 'v0.70.0',
    // What the release's own go.mod puts in the place of a module.
    yamux: 'v0.0.0-20250825093530-d0154be01cd6',
    chisel: 'v1.11.3',
    rathole: '0.5.0',
    bore: '0.6.0',
    localtunnel: '2.0.2',
    localtunnelServer: '0.1.0',
    esm: '3.2.25', // which that server needs
};
