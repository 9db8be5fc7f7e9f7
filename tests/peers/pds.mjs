// A Bluesky PDS as anybody runs one, without an AppView, and the PLC directory in which it looks up DIDs: on loopback.
// usage: node pds.mjs PACKAGES FOLDER; prints {"url": …} when it answers, ends with its standard input.
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const [packages, folder] = process.argv.slice(2)
const load = createRequire(join(packages, 'package.json'))
const { PDS, envToCfg, envToSecrets } = load('@atproto/pds')
const { TestPlc } = load('@atproto/dev-env')

const plc = await TestPlc.create({})
const probe = createServer()
const port = await new Promise((done) => probe.listen(0, '127.0.0.1', () => done(probe.address().port)))
await new Promise((done) => probe.close(done))

const env = {
  devMode: true,
  hostname: 'localhost',
  port,
  serviceHandleDomains: ['.test'],
  inviteRequired: false,
  dataDirectory: folder,
  blobstoreDiskLocation: join(folder, 'blobs'),
  didPlcUrl: plc.url,
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
