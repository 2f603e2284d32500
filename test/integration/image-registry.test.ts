/** Images from a real registry: when it is asked, who is let in, what is believed of it, and what a node remembers. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { type Database, openDatabase } from '../../src/base/database.ts'
import { isNodeError } from '../../src/base/errors.ts'
import { StopStack } from '../../src/base/lifecycle.ts'
import { DockerEngine } from '../../src/execution/engines/docker-engine.ts'
import { BroughtImages } from '../../src/execution/images/brought-images.ts'
import { ImagePins } from '../../src/execution/images/image-pins.ts'
import { parseImageRule } from '../../src/execution/images/image-rules.ts'
import type { ImageStore, StoredImage } from '../../src/execution/images/image-store.ts'
import { Images } from '../../src/execution/images/images.ts'
import { RegistryLogins } from '../../src/execution/images/registry-logins.ts'
import { SealedValues } from '../../src/execution/secrets/sealed-values.ts'
import { DOCKER_SOCKET } from '../support/execution-room.ts'
import { type ImageRegistry, startImageRegistry } from '../support/image-registry.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { BUSYBOX, removeImage, tagImage, testImage } from '../support/test-images.ts'

const engine = new DockerEngine({ socketPath: DOCKER_SOCKET })
const mark = `mao-registry-${process.pid}`
const [first, second] = [`mao-test/${mark}:first`, `mao-test/${mark}:second`]

describe('images of a registry', () => {
  const cleaning = new StopStack()
  const suite = { after: (action: () => unknown) => cleaning.push('part', async () => void (await action())) }
  let open: ImageRegistry
  let database: Database

  before(async () => {
    database = await openDatabase(await temporaryDirectory(suite as never))
    cleaning.push('database', () => database.close())
    open = await startImageRegistry(suite as never)
    await testImage(first, ['LABEL which=first'])
    await testImage(second, ['LABEL which=second'])
    cleaning.push('images', async () => {
      for (const image of [first, second]) await removeImage(image)
    })
  })
  after(() => cleaning.unwind())

  const logins = () => new RegistryLogins({ sealed: sealed() })
  const sealed = () => new SealedValues({ database, key: Buffer.alloc(32, 7) })
  const brought = () => new BroughtImages({ database })

  function imagesWith(options: {
    pull?: 'missing' | 'always' | 'never'
    allow?: string[]
    digest?: string
    loginsForMembers?: boolean
  }) {
    return new Images({
      pins: new ImagePins({ database }),
      logins: logins(),
      brought: brought(),
      settings: { pull: options.pull ?? 'missing', loginsForMembers: options.loginsForMembers ?? false },
      rules: (options.allow ?? []).map(parseImageRule),
      digestOf: () => options.digest,
      clock: systemClock,
    })
  }
  const signal = AbortSignal.timeout(60_000)
  const said: string[] = []
  const asked = (reference: string) => ({
    ...{ tool: 'tool', reference, engine, signal },
    say: (line: string) => said.push(line),
  })
  const refused = (code: string) => (error: unknown) => isNodeError(error) && error.code === code

  test('an image that is missing is pulled, pinned, and written down as brought', async () => {
    const digest = await open.push(first, 'lab/missing:1')
    const reference = `${open.host}/lab/missing:1`
    try {
      await assert.rejects(imagesWith({ pull: 'never' }).obtain(asked(reference)), refused('IMAGE_NOT_FOUND'))
      const image = await imagesWith({}).obtain(asked(reference))
      assert.equal(image.digest, `${open.host}/lab/missing@${digest}`)
      assert.equal(image.labels.which, 'first')
      assert(said.includes(`pulling ${reference}`))
      // The id was here before under another name: it is not this node's to remove.
      assert.deepEqual(await brought().list(), [])
    } finally {
      await engine.images.remove(reference)
    }
  })

  test('an image that was nowhere on the engine is this node’s to remove', async () => {
    const own = `mao-test/${mark}:own`
    await testImage(own, [`LABEL which=own-${process.pid}`])
    await open.push(own, 'lab/own:1')
    await removeImage(own)
    const reference = `${open.host}/lab/own:1`
    const image = await imagesWith({}).obtain(asked(reference))
    try {
      const [only, ...others] = await brought().list()
      assert.deepEqual(others, [])
      assert.deepEqual(
        [only?.id, only?.how, only?.references, only?.engine],
        [image.id, 'pulled', [reference], 'local'],
      )
    } finally {
      await engine.images.remove(reference)
      if (image !== undefined) await brought().forget({ engine: 'local', id: image.id })
    }
  })

  test('a tag that was moved in the registry is refused, also where the registry is always asked', async () => {
    const reference = `${open.host}/lab/moved:1`
    const before = await open.push(first, 'lab/moved:1')
    const always = imagesWith({ pull: 'always' })
    try {
      await always.obtain(asked(reference))
      await always.obtain(asked(reference))
      // The pin holds for every engine of the node: here one that holds another image under this name.
      const inspect = (name: string) => engine.images.inspect(name === reference ? second : name)
      const far = { engine: { images: { inspect } as ImageStore }, engineId: 'far' }
      await assert.rejects(imagesWith({}).obtain({ ...asked(reference), ...far }), refused('IMAGE_MOVED'))
      await open.push(second, 'lab/moved:1')
      // A run that demands the old digest gets the old image, under the same name.
      const digest = `${open.host}/lab/moved@${before}`
      const old = await always.obtain({ ...asked(reference), digest })
      assert.equal(old.labels.which, 'first')
      // What was let in by its digest does not let in what has come in its place, and that is not even pulled.
      await tagImage(old.id, reference)
      const listed = imagesWith({ pull: 'always', allow: [`*@${before}`] })
      await assert.rejects(listed.obtain(asked(reference)), refused('IMAGE_FORBIDDEN'))
      assert.equal((await engine.images.inspect(reference))?.id, old.id)
      await assert.rejects(always.obtain(asked(reference)), refused('IMAGE_MOVED'))
      // The moved image lies on the engine now; it is refused there too.
      await assert.rejects(imagesWith({}).obtain(asked(reference)), refused('IMAGE_MOVED'))
      assert.equal((await always.obtain({ ...asked(reference), digest })).id, old.id)
      // So does a tool whose record demands it.
      const tool = await imagesWith({ digest: before }).obtain(asked(reference))
      assert.equal(tool.id, old.id)
      const pins = new ImagePins({ database })
      await pins.accept(reference)
      assert.equal((await always.obtain(asked(reference))).labels.which, 'second')
    } finally {
      await engine.images.remove(reference)
      await engine.images.remove(`${open.host}/lab/moved@${before}`)
    }
  })

  test('a digest that is not to be had is not replaced by another', async () => {
    const reference = `${open.host}/lab/exact:1`
    await open.push(first, 'lab/exact:1')
    const digest = `sha256:${'0'.repeat(64)}`
    await assert.rejects(imagesWith({}).obtain({ ...asked(reference), digest }), refused('IMAGE_NOT_FOUND'))
    assert.equal(await engine.images.inspect(reference), undefined)
  })

  test('an image of this machine is none of a reference that never was it, whoever names its id or digest', async () => {
    const [reference, other] = [`${open.host}/lab/named:1`, `${open.host}/lab/private:1`]
    const old = await open.push(second, 'lab/named:1')
    await open.push(first, 'lab/named:1')
    const elsewhere = await open.push(second, 'lab/private:1')
    const images = imagesWith({ allow: [`${open.host}/lab/named:*`] })
    const pins = new ImagePins({ database })
    const refusedAs = (digest: string, code: string) =>
      assert.rejects(images.obtain({ ...asked(reference), digest }), refused(code), digest)
    try {
      const { id } = (await engine.images.inspect(second)) as StoredImage
      assert.equal((await images.obtain(asked(reference))).labels.which, 'first')
      // By its id, and by the digest of a repository that nobody let in.
      await refusedAs(id, 'IMAGE_FORBIDDEN')
      await refusedAs(`${open.host}/lab/private@${elsewhere}`, 'IMAGE_FORBIDDEN')
      assert.equal(await engine.images.inspect(other), undefined)
      // Without a list too: only the registry could say that the reference's repository has it.
      const lax = imagesWith({})
      const asAny = { ...asked(BUSYBOX), digest: id }
      await assert.rejects(lax.obtain(asAny), refused('IMAGE_NOT_FOUND'))
      // What was the reference's image here may run again as that; so may what its repository has, by a rule of its digest.
      await tagImage(second, reference)
      await pins.accept(reference)
      await images.obtain(asked(reference))
      await tagImage(first, reference)
      await pins.accept(reference)
      assert.equal((await images.obtain({ ...asked(reference), digest: id })).labels.which, 'second')
      assert.equal((await imagesWith({ digest: old }).obtain(asked(reference))).labels.which, 'second')
    } finally {
      await engine.images.remove(reference)
      await engine.images.remove(`${open.host}/lab/named@${old}`)
    }
  })

  test('an image that is not on the list is refused before anything is pulled', async () => {
    const digest = await open.push(first, 'lab/listed:1')
    await open.push(second, 'lab/other:1')
    const [listed, other] = [`${open.host}/lab/listed:1`, `${open.host}/lab/other:1`]
    const byName = imagesWith({ allow: [`${open.host}/lab/listed`] })
    const byDigest = imagesWith({ allow: [`*@${digest}`] })
    try {
      for (const images of [byName, byDigest]) {
        await assert.rejects(images.obtain(asked(other)), refused('IMAGE_FORBIDDEN'))
        assert.equal(await engine.images.inspect(other), undefined)
      }
      // What the registry says of a tag is asked for without pulling, and then just that is pulled.
      const image = await byDigest.obtain(asked(listed))
      assert.equal(image.digest, `${open.host}/lab/listed@${digest}`)
      await byName.obtain(asked(listed))
      // An image that is here already is no better than one that would have to be pulled.
      await assert.rejects(byName.obtain(asked(second)), refused('IMAGE_FORBIDDEN'))
    } finally {
      await engine.images.remove(listed)
      await engine.images.remove(`${open.host}/lab/listed@${digest}`)
    }
  })

  test('a closed registry opens to the password that this node keeps sealed, and to none else', async () => {
    const closed = await startImageRegistry(suite as never, { isClosed: true })
    await closed.push(first, 'lab/closed:1')
    const reference = `${closed.host}/lab/closed:1`
    const { user, password, host: registry } = closed
    const images = imagesWith({})
    try {
      await assert.rejects(images.obtain(asked(reference)), refused('IMAGE_NOT_FOUND'))
      const wrong = logins().login({ registry, user, password: 'wrong' }, engine.images)
      await assert.rejects(wrong, (error: Error) => {
        return isNodeError(error, 'FORBIDDEN') && !error.message.includes('wrong')
      })
      assert.deepEqual(await logins().list(), [])
      await logins().login({ registry, user, password }, engine.images)
      assert.equal((await images.obtain(asked(reference))).labels.which, 'first')
      const [view] = await logins().list()
      assert.deepEqual(Object.keys(view ?? {}).sort(), ['registry', 'sinceMs', 'user'])
      // Nothing on the disk gives it away, in the clear or in base64.
      for await (const [key, value] of database.iterator()) {
        for (const form of [password, Buffer.from(password).toString('base64')]) {
          assert(!`${key} ${value}`.includes(form), `${key} holds the password`)
        }
      }
      assert(!said.some((line) => line.includes(password)))
      // What the password has brought is not another member's to run, nor does it bring anything for one.
      const theirs = { ...asked(reference), forMember: true }
      await assert.rejects(images.obtain(theirs), refused('IMAGE_FORBIDDEN'))
      const { id } = (await engine.images.inspect(reference)) as StoredImage
      await tagImage(reference, `mao-test/${mark}:alias`)
      for (const other of [id, `mao-test/${mark}:alias`]) {
        await assert.rejects(
          images.obtain({ ...theirs, reference: other }),
          refused('IMAGE_FORBIDDEN'),
          other,
        )
      }
      await removeImage(`mao-test/${mark}:alias`)
      assert.equal((await imagesWith({ loginsForMembers: true }).obtain(theirs)).labels.which, 'first')
      await engine.images.remove(reference)
      await assert.rejects(images.obtain(theirs), refused('IMAGE_NOT_FOUND'))
      await images.obtain(asked(reference))
      await engine.images.remove(reference)
      await logins().logout(registry)
      await assert.rejects(images.obtain(asked(reference)), refused('IMAGE_NOT_FOUND'))
    } finally {
      await engine.images.remove(reference)
    }
  })

  test('a registry that is down is no image that is missing: it is worth another try', async () => {
    const mortal = await startImageRegistry(suite as never)
    const reference = `${mortal.host}/lab/x:1`
    await assert.rejects(imagesWith({}).obtain(asked(reference)), refused('IMAGE_NOT_FOUND'))
    await mortal.stop()
    await assert.rejects(imagesWith({}).obtain(asked(reference)), refused('SOURCE_UNAVAILABLE'))
    const byDigest = imagesWith({ allow: [`*@sha256:${'1'.repeat(64)}`] })
    await assert.rejects(byDigest.obtain(asked(reference)), refused('SOURCE_UNAVAILABLE'))
  })

  test('a registry that cannot be asked is told apart from one that refuses', async () => {
    const gone = { registry: '127.0.0.1:9', user: 'x', password: 'y' }
    await assert.rejects(logins().login(gone, engine.images), refused('SOURCE_UNAVAILABLE'))
    await assert.rejects(
      logins().login({ ...gone, registry: 'https://x/y' }, engine.images),
      refused('INVALID_INPUT'),
    )
  })
})
