import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isNodeError } from '../../../src/base/errors.ts'
import { Secrets } from '../../../src/execution/secrets/secrets.ts'

let directory: string
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mao-secrets-'))
})
after(() => rm(directory, { recursive: true, force: true }))

const step = (env: Record<string, string>) => ({ name: 'collect', env })
const PRIVATE = '{{ MAO_PRIVATE_VARIABLE }}'

async function secretsIn(text: string | undefined, environment: Record<string, string> = {}, mode = 0o600) {
  const path = join(directory, `${Math.random()}.yaml`)
  if (text !== undefined) {
    await writeFile(path, text)
    await chmod(path, mode)
  }
  return { path, secrets: new Secrets({ path, environment }) }
}

test('private variables are filled, others left alone', async () => {
  const { secrets } = await secretsIn('TOKEN: general\nPIN: 1234\nobservatory:\n  TOKEN: special\n')
  const env = { TOKEN: PRIVATE, PIN: '{{MAO_PRIVATE_VARIABLE}}', PLAIN: 'x' }
  assert.deepEqual(
    [...(await secrets.fill('observatory', step(env)))],
    [
      ['TOKEN', 'special'],
      ['PIN', '1234'],
    ],
  )
  assert.equal((await secrets.fill('other', step(env))).get('TOKEN'), 'general')
})

test('of several words on a variable the narrowest counts', async () => {
  const { secrets } = await secretsIn(
    'TOKEN: all\nKEY: all\nobservatory: { TOKEN: pipeline }\npipelines: { observatory: { collect: { TOKEN: step } } }\n',
  )
  const wants = { TOKEN: PRIVATE, KEY: PRIVATE }
  const given = async (pipeline: string, name: string) =>
    Object.fromEntries(await secrets.fill(pipeline, { name, env: wants }))
  assert.deepEqual(await given('observatory', 'collect'), { TOKEN: 'step', KEY: 'all' })
  assert.deepEqual(await given('observatory', 'assess'), { TOKEN: 'pipeline', KEY: 'all' })
  assert.deepEqual(await given('other', 'collect'), { TOKEN: 'all', KEY: 'all' })
  await assert.rejects(secrets.fill('constructor', { name: 'name', env: { length: PRIVATE } }), /No secret/)
})

test("the node's environment goes before the file", async () => {
  const { secrets } = await secretsIn('TOKEN: file', { MAO_SECRET_TOKEN: 'environment' })
  assert.equal((await secrets.fill('p', step({ TOKEN: PRIVATE }))).get('TOKEN'), 'environment')
})

test('a secret that is not to be had is told with the place to put it', async () => {
  const { path, secrets } = await secretsIn(undefined)
  const wants = secrets.fill('p', step({ TOKEN: PRIVATE, KEY: PRIVATE }))
  await assert.rejects(wants, (error: Error) => {
    assert.ok(isNodeError(error, 'FORBIDDEN'))
    return (
      error.message.includes(path) &&
      error.message.includes('TOKEN, KEY') &&
      error.message.includes('MAO_SECRET_TOKEN')
    )
  })
})

test('a file that others can read is refused', async () => {
  const { secrets } = await secretsIn('TOKEN: x', {}, 0o644)
  await assert.rejects(secrets.fill('p', step({ TOKEN: PRIVATE })), /chmod 600/)
})

test('a broken file is refused without a word of its content', async () => {
  for (const text of ['TOKEN: [hunter2', '- hunter2', 'TOKEN: {a: {b: hunter2}}', '"hunter2']) {
    const { secrets } = await secretsIn(text)
    await assert.rejects(secrets.fill('p', step({ TOKEN: PRIVATE })), (error: Error) => {
      assert.match(error.message, /no map of secrets/)
      assert.doesNotMatch(`${error.message}${error.stack}${String(error.cause)}`, /hunter2/)
      return true
    })
  }
})
