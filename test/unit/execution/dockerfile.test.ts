import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dockerfileNeeds, fetchesOf } from '../../../src/execution/images/dockerfile.ts'

const needs = (...lines: string[]) => dockerfileNeeds(lines.join('\n'))

test('the images that a build begins with are found, its own stages are not', () => {
  const found = needs(
    '# syntax=docker/dockerfile:1',
    'ARG BASE=debian',
    'ARG TAG="12"',
    `from --platform=linux/amd64 \${BASE}:$TAG as Compile`,
    'RUN echo FROM elsewhere',
    'FROM scratch',
    'COPY --from=compile /a /a',
    'COPY --from=0 /b /b',
    'COPY --chown=1:1 --from=lab/tools:3 /c /c',
    `FROM \${OTHER:-alpine} AS last`,
    'FROM compile',
    'FROM debian:12',
  )
  assert.deepEqual(found, { bases: ['debian:12', 'lab/tools:3', 'alpine'], fetches: [], problems: [] })
})

test('lines that go on are one, with comments and blanks between', () => {
  assert.deepEqual(needs('FROM \\', '# a comment', '', '  busybox \\', '  AS x', 'FROM x').bases, ['busybox'])
  assert.deepEqual(needs('# escape=`', 'FROM `', 'busybox').bases, ['busybox'])
})

test('what ADD fetches is found, and a variable counts as what it may hold', () => {
  const found = needs(
    'FROM scratch',
    'ADD a.txt b.txt /x/',
    'ADD --chown=1 https://example.org/x.tar /x/',
    'ADD ["http://169.254.169.254/latest", "/x"]',
    'ADD $WHERE /y',
    'ADD git@example.org:x.git /z',
    'COPY $WHERE /y',
  )
  assert.deepEqual(found.fetches, [
    'https://example.org/x.tar',
    'http://169.254.169.254/latest',
    '$WHERE',
    'git@example.org:x.git',
  ])
  assert.deepEqual(fetchesOf(['ADD http://x/y /z', 'RUN true', 'COPY a b']), ['http://x/y'])
})

test('what cannot be made out is told with its line', () => {
  const found = needs('ARG X', 'FROM $X', 'FROM scratch', 'COPY --from=$Y a b')
  assert.equal(found.problems.length, 2)
  assert.match(found.problems[0] ?? '', /line 2: FROM \$X/)
  assert.match(found.problems[1] ?? '', /line 4: COPY --from=\$Y/)
  assert.deepEqual(needs('RUN true').problems, ['there is no FROM'])
})
