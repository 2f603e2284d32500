import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Database, openDatabase } from '../../../src/base/database.ts'
import { isNodeError } from '../../../src/base/errors.ts'
import { SEALING_PURPOSE, SealedValues } from '../../../src/execution/secrets/sealed-values.ts'
import { SecretStore } from '../../../src/execution/secrets/secret-store.ts'
import { Secrets } from '../../../src/execution/secrets/secrets.ts'
import { derivedKey } from '../../../src/identity/derived-key.ts'
import { generateIdentity } from '../../../src/identity/node-key.ts'

let directory: string
const databases: Database[] = []
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mao-secrets-'))
})
after(async () => {
  for (const database of databases) await database.close()
  await rm(directory, { recursive: true, force: true })
})

/** Sealed values of their own for each test. */
async function sealedValues(): Promise<SealedValues> {
  const database = await openDatabase(await mkdtemp(join(directory, 'store-')))
  databases.push(database)
  const { privateKey } = await generateIdentity()
  return new SealedValues({ database, key: derivedKey(privateKey, SEALING_PURPOSE) })
}

const step = (env: Record<string, string>) => ({ name: 'collect', env })
const PRIVATE = '{{ MAO_PRIVATE_VARIABLE }}'

async function secretsIn(text: string | undefined, environment: Record<string, string> = {}, mode = 0o600) {
  const path = join(directory, `${Math.random()}.yaml`)
  if (text !== undefined) {
    await writeFile(path, text)
    await chmod(path, mode)
  }
  const store = new SecretStore({ sealed: await sealedValues() })
  return { path, store, secrets: new Secrets({ path, store, environment }) }
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

test('the environment goes before what is sealed, and that before the file; of what is sealed the narrowest counts', async () => {
  const { secrets, store } = await secretsIn('A: file\nB: file\nC: file\nD: file\n', {
    MAO_SECRET_A: 'environment',
  })
  const given = async (pipeline: string, name: string) => {
    const env = { A: PRIVATE, B: PRIVATE, C: PRIVATE, D: PRIVATE }
    return [...(await secrets.fill(pipeline, { name, env })).values()]
  }
  await store.set({ variable: 'A' }, 'sealed')
  await store.set({ variable: 'B' }, 'sealed for all')
  await store.set({ variable: 'C' }, 'sealed for all')
  await store.set({ variable: 'C', pipeline: 'p' }, 'sealed for p')
  await store.set({ variable: 'C', pipeline: 'p', step: 's' }, 'sealed for s')
  assert.deepEqual(await given('p', 's'), ['environment', 'sealed for all', 'sealed for s', 'file'])
  assert.deepEqual(await given('p', 't'), ['environment', 'sealed for all', 'sealed for p', 'file'])
  assert.deepEqual(await given('q', 's'), ['environment', 'sealed for all', 'sealed for all', 'file'])
  const names = (await store.list()).map(({ timeMs: _, ...name }) => name)
  assert.deepEqual(names, [
    { variable: 'A' },
    { variable: 'B' },
    { variable: 'C' },
    { variable: 'C', pipeline: 'p' },
    { variable: 'C', pipeline: 'p', step: 's' },
  ])
  await store.remove({ variable: 'C', pipeline: 'p', step: 's' })
  assert.equal((await given('p', 's'))[2], 'sealed for p')
  await assert.rejects(store.remove({ variable: 'X' }), (e) => isNodeError(e, 'NOT_FOUND'))
  await assert.rejects(store.set({ variable: 'a-b' }, 'x'), (e) => isNodeError(e, 'INVALID_NAME'))
  await assert.rejects(store.set({ variable: 'A', step: 's' }, 'x'), (e) => isNodeError(e, 'INVALID_INPUT'))
})

test('what the file holds is sealed as it was meant, and the file is gone', async () => {
  const text = 'A: one\nE: ""\np: { A: two, B: 3 }\npipelines: { p: { s: { A: four } } }\n'
  const { path, secrets, store } = await secretsIn(text)
  const env = { A: PRIVATE, B: PRIVATE }
  const before = [...(await secrets.fill('p', { name: 's', env }))]
  assert.equal((await secrets.sealFile()).sealed.length, 4)
  await assert.rejects(readFile(path), /ENOENT/)
  assert.deepEqual([...(await secrets.fill('p', { name: 's', env }))], before)
  assert.equal(await store.find({ variable: 'A', pipeline: 'q', step: 's' }), 'one')
  assert.deepEqual((await secrets.sealFile()).sealed, [], 'there is nothing left')
  const bad = await secretsIn('not-a-variable: x\nA: y\n')
  await assert.rejects(bad.secrets.sealFile(), (e) => isNodeError(e, 'INVALID_NAME'))
  assert.match(await readFile(bad.path, 'utf8'), /A: y/, 'the file stays where it cannot be moved whole')
})
