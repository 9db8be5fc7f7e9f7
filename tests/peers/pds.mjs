// A Bluesky PDS as anybody runs one, with a PLC directory (where DIDs are looked up) in memory: both on loopback.
// usage: node pds.mjs PACKAGES FOLDER; prints {"url": …} when it answers, ends with its standard input.
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const [packages, folder] = process.argv.slice(2)
const load = createRequire(join(packages, 'package.json'))
const { PDS, envToCfg, envToSecrets } = load('@atproto/pds')
const { formatDidDoc, opToData } = load('@did-plc/lib')

const logs = new Map()

function answer(did, what) {
  if (!logs.has(did)) return [404, { message: `DID not registered: ${did}` }]
  const last = logs.get(did).at(-1)
  const data = opToData(did, last)
  return [200, { 'log/last': last, data }[what] ?? formatDidDoc(data)]
}

const plc = createServer((request, response) => {
  const [, did, ...what] = decodeURIComponent(request.url).split('/')
  const say = (status, body) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  if (request.method !== 'POST') return say(...answer(did, what.join('/')))
  const parts = []
  request.on('data', (part) => parts.push(part))
  request.on('end', () => {
    logs.set(did, [...(logs.get(did) ?? []), JSON.parse(Buffer.concat(parts).toString())])
    say(200, {})
  })
})

const listening = (server) => new Promise((done) => server.listen(0, '127.0.0.1', () => done(server.address().port)))
const directory = await listening(plc)
const probe = createServer()
const port = await listening(probe)
await new Promise((done) => probe.close(done))

const env = {
  devMode: true,
  hostname: 'localhost',
  port,
  serviceHandleDomains: ['.test'],
  inviteRequired: false,
  dataDirectory: folder,
  blobstoreDiskLocation: join(folder, 'blobs'),
  didPlcUrl: `http://127.0.0.1:${directory}`,
  rateLimitsEnabled: true,
  // Secrets of a server that holds nothing and lives for a minute.
  plcRotationKeyK256PrivateKeyHex: '11'.repeat(32),
  dpopSecret: '22'.repeat(32),
  jwtSecret: 'a-secret-of-the-tests',
  adminPassword: 'pentadbir',
}
const pds = await PDS.create(envToCfg(env), envToSecrets(env))
await pds.start()
process.stdin.resume().on('end', () => process.exit(0))
console.log(JSON.stringify({ url: `http://127.0.0.1:${port}` }))
