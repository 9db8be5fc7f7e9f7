// A PLC directory, a PDS and the AppView that reads it, as Bluesky's own tests run them, all on loopback.
// usage: node appview.mjs PACKAGES FOLDER POSTGRES; prints {"pds": …, "appview": …, "settle": …}, ends with its standard
// input. Whoever asks `settle` is answered when the AppView has read all that the PDS has.
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const [packages, folder, dbPostgresUrl] = process.argv.slice(2)
const load = createRequire(join(packages, 'package.json'))
const { TestBsky, TestPds, TestPlc, mockNetworkUtilities } = load('@atproto/dev-env')

const free = async () => {
  const probe = createServer()
  const port = await new Promise((done) => probe.listen(0, '127.0.0.1', () => done(probe.address().port)))
  await new Promise((done) => probe.close(done))
  return port
}
const nobody = { modServiceUrl: 'http://localhost:9', modServiceDid: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' }

const plc = await TestPlc.create({})
const port = await free()
const bsky = await TestBsky.create({
  ...nobody,
  port: await free(),
  plcUrl: plc.url,
  repoProvider: `ws://localhost:${port}`,
  dbPostgresUrl,
  dbPostgresSchema: `appview_${String(process.pid).replace(/\d/g, (digit) => 'abcdefghij'[digit])}`, // letters only
})
const pds = await TestPds.create({
  ...nobody,
  port,
  didPlcUrl: plc.url,
  bskyAppViewUrl: bsky.url,
  bskyAppViewDid: bsky.ctx.cfg.serverDid,
  dataDirectory: folder,
  blobstoreDiskLocation: join(folder, 'blobs'),
})
mockNetworkUtilities(pds, bsky)

async function caughtUp() {
  await pds.processAll()
  const last = await pds.ctx.sequencer.curr()
  for (;;) {
    await bsky.sub.processAll()
    if (!last || (await bsky.sub.runner.getCursor()) >= last) return
    await new Promise((done) => setTimeout(done, 5))
  }
}

const settle = createServer((_, response) => caughtUp().then(() => response.end()))
settle.listen(0, '127.0.0.1', () => {
  const said = { pds: pds.url, appview: bsky.url, settle: `http://127.0.0.1:${settle.address().port}` }
  console.log(JSON.stringify(said))
})
process.stdin.resume().on('end', () => process.exit(0))
