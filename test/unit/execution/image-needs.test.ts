import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BroughtImage } from '../../../src/execution/images/brought-images.ts'
import { judgeImages, type Looking } from '../../../src/execution/images/image-needs.ts'
import type { ListedImage } from '../../../src/execution/images/image-store.ts'

const DAY = 24 * 3_600_000
const NOW = 1_000 * DAY
const idOf = (name: string) => `sha256:${name.charCodeAt(0).toString(16).padStart(64, '0')}`

function brought(name: string, more: Partial<BroughtImage> = {}): BroughtImage {
  return {
    ...{ engine: 'local', id: idOf(name), how: 'pulled', references: [`lab/${name}:1`], bytes: 100 },
    ...{ broughtMs: NOW - 400 * DAY, usedMs: NOW - 30 * DAY, ...more },
  }
}

function listed(name: string, more: Partial<ListedImage> = {}): ListedImage {
  return { id: idOf(name), tags: [`lab/${name}:1`], repoDigests: [], bytes: 100, ...more }
}

function judge(names: readonly string[], more: Partial<Looking> = {}) {
  const verdicts = judgeImages({
    brought: names.map((name) => brought(name)),
    present: names.map((name) => listed(name)),
    needs: { references: [], digests: [], containers: new Set() },
    settings: { keepBytes: 1_000, keepUnusedMs: 90 * DAY, recentMs: 7 * DAY },
    nowMs: NOW,
    ...more,
  })
  return verdicts.map(({ image, needed, goes }) => [image.references[0], needed ?? '', goes ?? ''])
}

test('what nothing needs stays while there is room and it is not too old', () => {
  assert.deepEqual(judge(['a']), [['lab/a:1', '', '']])
})

test('beyond the size, the longest unused go first, and only as many as have to', () => {
  const images = [
    brought('a'),
    brought('b', { usedMs: NOW - 60 * DAY }),
    brought('c', { usedMs: NOW - 40 * DAY }),
  ]
  const settings = { keepBytes: 150, keepUnusedMs: 90 * DAY, recentMs: 7 * DAY }
  const verdicts = judge(['a', 'b', 'c'], { brought: images, settings })
  assert.deepEqual(
    verdicts.map(([name, , goes]) => [name, goes !== '']),
    [
      ['lab/b:1', true],
      ['lab/c:1', true],
      ['lab/a:1', false],
    ],
  )
})

test('what was not used for too long goes, however much room there is', () => {
  const old = brought('a', { usedMs: NOW - 91 * DAY })
  const [[, , goes] = []] = judge(['a'], { brought: [old] })
  assert.match(goes ?? '', /keepUnusedMs/)
})

test('what something needs stays, whatever its size and age', () => {
  const old = [brought('a', { usedMs: 0 })]
  const settings = { keepBytes: 0, keepUnusedMs: 0, recentMs: 7 * DAY }
  const none = { references: [], digests: [], containers: new Set<string>() }
  const needed = (more: Partial<Looking>) => judge(['a'], { brought: old, settings, ...more })[0]?.[1]
  assert.equal(needed({}), '')
  assert.match(needed({ needs: { ...none, containers: new Set([idOf('a')]) } }) ?? '', /a container/)
  assert.match(needed({ needs: { ...none, references: ['docker.io/lab/a:1'] } }) ?? '', /names docker\.io/)
  assert.match(needed({ needs: { ...none, references: [idOf('a')] } }) ?? '', /just this image/)
  assert.match(needed({ needs: { ...none, digests: [idOf('a')] } }) ?? '', /just this image/)
  const digested = [listed('a', { repoDigests: [`r/x@${idOf('z')}`] })]
  const demanded = { ...none, digests: [`other/name@${idOf('z')}`] }
  assert.match(needed({ present: digested, needs: demanded }) ?? '', /just this image/)
  const renamed = [listed('a', { tags: ['lab/a:1', 'mine:1'] })]
  assert.match(needed({ present: renamed }) ?? '', /named it mine:1/)
  assert.match(needed({ brought: [brought('a', { usedMs: NOW - DAY })] }) ?? '', /of late/)
})

test('what is gone from the engine is not spoken of', () => {
  assert.deepEqual(judge(['a'], { present: [listed('b')] }), [])
})
