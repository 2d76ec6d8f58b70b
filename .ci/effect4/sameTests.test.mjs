import assert from "node:assert/strict"
import { test } from "node:test"
import { compare, testsOf } from "./sameTests.mjs"

const report = (...tests) => ({
  testResults: tests.map(([name, title, status = "passed"]) => ({
    name: `/root/${name}`,
    assertionResults: [{ ancestorTitles: ["group"], title, status }]
  }))
})

const faults = (three, four, only3 = {}, only4 = {}) =>
  compare(testsOf(report(...three), "/root"), testsOf(report(...four), "/root"), only3, only4).faults

const one = ["test/a.test.ts", "works"]
const other = ["test/b/c.test.ts", "works too"]

test("the same tests in both builds have no fault", () => {
  assert.deepEqual(faults([one, other], [other, one]), [])
})

test("a test that one build does not run, or skips, is a fault", () => {
  const missing = ["not run with Effect 4: test/b/c.test.ts > group > works too"]
  assert.deepEqual(faults([one, other], [one]), missing)
  assert.deepEqual(faults([one, other], [one, [...other, "skipped"]]), missing)
  assert.deepEqual(faults([one, [...other, "pending"]], [one, other]), [
    "not run with Effect 3: test/b/c.test.ts > group > works too"
  ])
})

test("a second test of the same title is a fault when one build has it alone", () => {
  assert.deepEqual(faults([one, one], [one]), ["not run with Effect 4: test/a.test.ts > group > works"])
})

test("a listed test has no fault, by its file or its folder, and an entry without any test has one", () => {
  assert.deepEqual(faults([one, other], [one], { "test/b/": "its subject" }), [])
  assert.deepEqual(faults([one], [one, other], {}, { "test/b/c.test.ts": "its subject" }), [])
  assert.deepEqual(faults([one], [one], { "test/b/": "its subject" }), ["no test of Effect 3 was run: test/b/"])
})
