import assert from 'node:assert/strict'
import { chmod } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Check } from '../../src/api/doctor-checks.ts'
import { overviewSchema } from '../../src/api/status-views.ts'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { startTestApi } from '../support/api.ts'
import { maoctlHere } from '../support/maoctl.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

interface Told {
  problems: number
  checks: Check[]
}

test('status is one screen, doctor says what is wrong and what to do, with or without a node', async (t) => {
  const { node, api, url, token, ask } = await startTestApi(t, 'alice')
  const { dataDirectory } = node.config
  const environment = { MAO_URL: url, MAO_TOKEN: token, XDG_CONFIG_HOME: await temporaryDirectory(t) }
  const type = (...words: string[]) => maoctlHere(words, { environment })

  const alone = await type('status')
  assert.match(alone.stdout, /^node: +alice, version \S+, up /m)
  assert.match(alone.stdout, /in no federation yet: "maoctl federation create"/)

  await node.createFederation({ name: 'lab' })
  await ask('POST', '/api/v1/datasets', { name: 'apples' })
  const shown = await type('status')
  assert.equal(shown.exit, 0, shown.stderr)
  assert.match(shown.stdout, /^federation: lab, operator; 1 of 1 member online$/m)
  assert.match(shown.stdout, /^datasets: +1, 0 with a ground truth$/m)
  const overview = overviewSchema.parse((await type('status', '--json')).json())
  assert.equal(overview.work?.datasets.count, 1)
  assert.equal((await type('-q', 'dataset', 'list')).stdout, 'apples\n')

  const sound = await type('doctor', '--json')
  const { checks } = sound.json<Told>()
  assert.deepEqual(
    checks.filter(({ verdict, wayOut }) => verdict !== 'ok' && wayOut === undefined),
    [],
  )
  assert.deepEqual(
    ['api', 'version', 'federation', 'reachability', 'peers', 'registry', 'clock', 'engine', 'git', 'disk']
      .concat('etcd', 'secrecy', 'settings')
      .filter((id) => !checks.some((check) => check.id === id)),
    [],
  )
  assert.equal(sound.exit, 0, sound.stdout)

  // A key that others may read is wrong, and is told by the node itself.
  await chmod(join(dataDirectory, 'identity.key'), 0o644)
  const open = await type('doctor')
  assert.equal(open.exit, EXIT.OUTCOME)
  assert.match(
    open.stdout,
    /^✗ .*identity\.key can be read or written by others \(mode 0644\)\.\n {2}→ chmod 600 /m,
  )
  assert.match((await type('doctor', '--quiet')).stdout, /^[✗!] /)
  await chmod(join(dataDirectory, 'identity.key'), 0o600)

  // Nobody answers: what can be seen from here is told all the same.
  await api.stop()
  const here = { environment: { MAO_DATA: dataDirectory, MAO_BOGUS: '1' } }
  const gone = await maoctlHere(['doctor', '--json'], here)
  assert.equal(gone.exit, EXIT.OUTCOME)
  const seen = gone.json<Told>()
  assert.equal(seen.checks.find(({ id }) => id === 'api')?.verdict, 'problem')
  for (const id of ['git', 'disk', 'secrecy', 'engine'])
    assert.ok(
      seen.checks.some((check) => check.id === id),
      id,
    )
  assert.ok(seen.checks.some(({ words }) => words.startsWith('MAO_BOGUS is set')))
  const taken = createServer()
  t.after(() => taken.close())
  await new Promise<void>((done) => taken.listen(0, '127.0.0.1', done))
  const { port } = taken.address() as AddressInfo
  const busy = await maoctlHere(['doctor'], {
    environment: { ...here.environment, MAO_API_PORT: String(port) },
  })
  assert.match(busy.stdout, new RegExp(`^! Port ${port} of 127\\.0\\.0\\.1 cannot be had`, 'm'))
})
