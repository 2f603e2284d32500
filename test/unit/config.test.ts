import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isNodeError } from '../../src/base/errors.ts'
import { isName } from '../../src/base/names.ts'
import { nearestName } from '../../src/base/nearest-name.ts'
import { type ConfigSources, configSchema, loadConfig, settings } from '../../src/config.ts'
import { clusterAddress, parseRegistry } from '../../src/etcd/cluster-address.ts'

describe('the settings of a node', () => {
  let directory: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mao-config-'))
  })
  after(() => rm(directory, { recursive: true, force: true }))

  /** Sources that never see the settings of whoever runs the tests. */
  const load = (sources: ConfigSources = {}) =>
    loadConfig({ ...sources, environment: { MAO_DATA: directory, ...sources.environment } })

  async function file(name: string, text: string): Promise<string> {
    const path = join(directory, name)
    await writeFile(path, text)
    return path
  }

  async function problemsOf(sources: ConfigSources): Promise<string[]> {
    try {
      await load(sources)
    } catch (error) {
      assert.ok(isNodeError(error, 'INVALID_CONFIG'), String(error))
      const problems = error.data.problems
      assert.ok(Array.isArray(problems))
      for (const problem of problems) assert.ok(error.message.includes(String(problem)))
      return problems.map(String)
    }
    throw new Error('these settings were accepted')
  }

  test('nobody has to set anything', async () => {
    const config = await load()
    assert.equal(config.api.host, '127.0.0.1')
    assert.equal(config.api.port, 8080)
    assert.equal(config.execution.dockerSocketGranted, false)
    assert.equal(config.dataDirectory, directory)
    assert.ok(isName(config.name), `${config.name} cannot name a node`)
  })

  test('flags weigh more than the environment, and the environment more than the file', async () => {
    const path = await file(
      'three.yaml',
      'name: from-file\napi: { port: 1, host: 10.0.0.1 }\nlog: { level: warn }\n',
    )
    const environment = { MAO_NAME: 'from-environment', MAO_API_PORT: '2' }
    const config = await load({ file: path, environment, flags: { api: { port: 3 } } })
    assert.equal(config.log.level, 'warn')
    assert.equal(config.name, 'from-environment')
    const { rateLimit: _, ...api } = config.api
    assert.deepEqual(api, { host: '10.0.0.1', port: 3, allowedHosts: [] })
  })

  test('config.yaml in the data directory is read without being named', async () => {
    const own = await mkdtemp(join(directory, 'own-'))
    await writeFile(join(own, 'config.yaml'), 'name: at-home\n')
    assert.equal((await load({ flags: { dataDirectory: own } })).name, 'at-home')
    assert.equal((await load({ environment: { MAO_DATA: own } })).name, 'at-home')
  })

  test('the environment carries lists, numbers, booleans and maps', async () => {
    const config = await load({
      environment: {
        MAO_LISTEN: '/ip4/127.0.0.1/tcp/1, /ip4/127.0.0.1/tcp/2',
        MAO_EXECUTION_CPUS: '0.5',
        MAO_MDNS: 'false',
        MAO_EXECUTION_ENVIRONMENT: '{"collect":{"LOSE":"3"}}',
      },
    })
    assert.deepEqual(config.listen, ['/ip4/127.0.0.1/tcp/1', '/ip4/127.0.0.1/tcp/2'])
    assert.equal(config.execution.cpus, 0.5)
    assert.equal(config.mdns, false)
    assert.deepEqual(config.execution.environment, { collect: { LOSE: '3' } })
  })

  test('everything wrong is listed at once, each with its path and where it was written', async () => {
    const path = await file('wrong.yaml', 'name: Not A Name\nexecution: { pids: none }\n')
    const problems = await problemsOf({
      file: path,
      environment: { MAO_API_PORT: '70000', MAO_LISTEN: 'here', MAO_EXECUTION_ENVIRONMENT: '{' },
    })
    assert.equal(problems.length, 5, problems.join('\n'))
    assert.ok(problems.some((problem) => problem.startsWith('name: ')))
    assert.ok(problems.some((problem) => problem.startsWith('execution.pids: ')))
    assert.ok(problems.some((problem) => problem.startsWith('api.port (MAO_API_PORT): ')))
    assert.ok(problems.some((problem) => problem.startsWith('listen.0 (MAO_LISTEN): ')))
    assert.ok(problems.some((problem) => problem.startsWith('MAO_EXECUTION_ENVIRONMENT: ')))
  })

  test('an unknown name is refused and the nearest known one suggested', async () => {
    const path = await file('typo.yaml', 'nmae: a\napi: { prot: 1 }\nentirelyElse: 1\n')
    const problems = await problemsOf({ file: path, environment: { MAO_API_PROT: '1' } })
    assert.deepEqual(problems.sort(), [
      'MAO_API_PROT: no such variable, did you mean MAO_API_PORT?',
      'api.prot: no such setting, did you mean api.port?',
      'entirelyElse: no such setting',
      'nmae: no such setting, did you mean name?',
    ])
  })

  test("other programs' variables with our prefix are left alone", async () => {
    await load({ environment: { MAO_PRIVATE_VARIABLE: 'x', MAO_TOKEN: 'x', MAO_URL: 'x' } })
    await load({ environment: { MAO_SECRET_API_PORT: 'x', MAO_SECRET_: 'x', MAO_SECRET_NAME: 'x' } })
  })

  test('a file that is not there, not YAML, or not a map is refused', async () => {
    assert.match(
      (await problemsOf({ file: join(directory, 'absent.yaml') })).join(),
      /absent\.yaml cannot be read/,
    )
    assert.equal((await problemsOf({ file: await file('broken.yaml', 'a: [1\nb: }') })).length > 0, true)
    const list = await problemsOf({ file: await file('list.yaml', '- a\n') })
    assert.deepEqual(list, ['the file holds no map of settings'])
  })

  test('an empty file says nothing', async () => {
    assert.equal((await load({ file: await file('empty.yaml', '# nothing yet\n') })).api.port, 8080)
  })

  test('every setting is described and has a variable of its own', () => {
    const all = settings()
    assert.ok(all.length > 20)
    for (const setting of all) assert.notEqual(setting.description, '', `${setting.path} is not described`)
    assert.equal(new Set(all.map((setting) => setting.variable)).size, all.length)
    const paths = all.map((setting) => setting.path)
    for (const key of Object.keys(configSchema.shape)) {
      assert.ok(
        paths.some((path) => path === key || path.startsWith(`${key}.`)),
        `${key} is not listed`,
      )
    }
  })

  test('the registry is gossiped, or kept in an etcd cluster that is named', async () => {
    assert.equal(await clusterAddress(await load()), undefined)
    const config = await load({ environment: { MAO_REGISTRY: 'etcd://etcd-1,10.0.0.2:23790,[::1]:2379' } })
    assert.deepEqual(await clusterAddress(config), {
      endpoints: ['http://etcd-1:2379', 'http://10.0.0.2:23790', 'http://[::1]:2379'],
    })
    assert.deepEqual(parseRegistry('etcds://etcd-1.example.org:2379/'), ['https://etcd-1.example.org:2379'])
    for (const wrong of ['etcd', 'http://a:2379', 'etcd://', 'etcd://a,,b', 'etcd://a:0', 'etcd://a:99999']) {
      const problems = await problemsOf({ environment: { MAO_REGISTRY: wrong } })
      assert.match(problems.join(), /^registry \(MAO_REGISTRY\): /, wrong)
    }
    const many = Array.from({ length: 17 }, (_, n) => `a${n}`).join(',')
    assert.match((await problemsOf({ environment: { MAO_REGISTRY: `etcd://${many}` } })).join(), /at most 16/)
  })

  test('the password of the registry is read from a file of its owner alone, and has no place in the settings', async () => {
    const shown = await problemsOf({ environment: { MAO_REGISTRY: 'etcd://mao:hush@etcd-1:2379' } })
    assert.match(shown.join(), /registryPasswordFile/)
    assert.doesNotMatch(shown.join(), /hush/)

    const registryPasswordFile = await file('password', 'hush hush\n')
    const settings = { registry: 'etcds://a', registryUser: 'mao', registryPasswordFile, registryCaFile: '' }
    await chmod(registryPasswordFile, 0o644)
    await assert.rejects(clusterAddress(settings), { code: 'INVALID_CONFIG', message: /chmod 600/ })
    await chmod(registryPasswordFile, 0o600)
    const { account } = (await clusterAddress(settings)) ?? {}
    assert.deepEqual(account, { user: 'mao', password: 'hush hush' })

    const refused = (part: Partial<typeof settings>, message: RegExp) =>
      assert.rejects(clusterAddress({ ...settings, ...part }), { code: 'INVALID_CONFIG', message })
    await refused({ registryUser: '' }, /go together/)
    await refused({ registryPasswordFile: join(directory, 'none') }, /cannot be read/)
    await refused({ registryCaFile: registryPasswordFile }, /no certificate/)
    await refused({ registry: 'etcd://a', registryCaFile: registryPasswordFile }, /over TLS/)
  })

  test('the nearest name is only suggested when it is near', () => {
    assert.equal(nearestName('lisen', ['listen', 'name']), 'listen')
    assert.equal(nearestName('elephant', ['listen', 'name']), undefined)
  })
})
