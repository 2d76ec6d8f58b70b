// The rewriter, over small sources: node --test .ci/effect4/codemod.test.mjs
import assert from "node:assert/strict"
import { join, resolve } from "node:path"
import { test } from "node:test"
import { fileURLToPath } from "node:url"
import ts from "ts5"
import { codemod } from "./codemod.mjs"
import * as rules from "./rules.mjs"
import { surfaceOf } from "./surface.mjs"

const here = fileURLToPath(new URL(".", import.meta.url))
const root = resolve(here, "../..")
const surface = surfaceOf(join(here, "node_modules"), ["effect", "@effect/platform-node", "@effect/vitest"])

const parsed = new Map()

/** A source as it is for Effect 4, and the names that have no rule. */
const rewritten = (text, path = "src/rewritten.ts") => {
  const file = join(root, path)
  const options = {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    strict: true,
    noEmit: true,
    types: []
  }
  const host = ts.createCompilerHost(options)
  const { fileExists, getSourceFile } = host
  host.fileExists = (name) => name === file || fileExists(name)
  host.getSourceFile = (name, ...rest) =>
    name === file ? ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true) : declarations(name, ...rest)
  /** The declarations of packages are parsed once. */
  const declarations = (name, ...rest) => {
    if (!parsed.has(name)) parsed.set(name, getSourceFile(name, ...rest))
    return parsed.get(name)
  }
  const program = ts.createProgram([file], options, host)
  const unknown = []
  const { rewrite } = codemod({ program, rules, surface, local: (_, path) => `./${path}`, facade: () => "./facade.js" })
  const output = rewrite(program.getSourceFile(file), ({ key }) => unknown.push(key))
  return { output, unknown }
}

const becomes = (text, expected, path) => {
  const { output, unknown } = rewritten(text, path)
  assert.deepEqual(unknown, [])
  assert.equal(output.trim(), expected)
}

test("a name goes where Effect 4 has it, with the imports that it needs", () => {
  becomes(
    'import { Effect, Either } from "effect"\nexport const a = Effect.zipRight(Effect.void, Effect.either(Effect.void))\nexport type B = Either.Either<1, 2>',
    'import type { Result } from "effect"\nimport { Effect } from "effect"\nexport const a = Effect.andThen(Effect.void, Effect.result(Effect.void))\nexport type B = Result.Result<1, 2>'
  )
})

test("a member is renamed by its type, not by its name", () => {
  becomes(
    'import { Either } from "effect"\nconst own = { right: 1 }\nexport const f = (e: Either.Either<number, string>) => (Either.isRight(e) ? e.right : own.right)',
    'import { Result } from "effect"\nconst own = { right: 1 }\nexport const f = (e: Result.Result<number, string>) => (Result.isSuccess(e) ? e.success : own.right)'
  )
})

test("an Either becomes an Effect where an Effect is expected, in the one module that may use it so", () => {
  becomes(
    'import { Effect, Either } from "effect"\nconst e: Either.Either<number, string> = Either.right(1)\nexport const a: Effect.Effect<number, string> = Effect.flatMap(Effect.void, () => e)\nexport const b = Either.map(e, (n) => n)',
    'import { Effect, Result } from "effect"\nconst e: Result.Result<number, string> = Result.succeed(1)\nexport const a: Effect.Effect<number, string> = Effect.flatMap(Effect.void, () => Effect.fromResult(e))\nexport const b = Result.map(e, (n) => n)',
    "src/internal/asEffect.ts"
  )
})

test("calls whose arguments changed are written anew", () => {
  becomes(
    'import { Schema } from "effect"\nexport const S = Schema.Struct({ a: Schema.optionalWith(Schema.Union(Schema.String, Schema.Null), { exact: true }), b: Schema.Literal("x", "y") })',
    'import { Schema } from "effect"\nexport const S = Schema.Struct({ a: Schema.optionalKey(Schema.Union([Schema.String, Schema.Null])), b: Schema.Literals(["x", "y"]) })'
  )
})

test("the service of a tag keeps its class", () => {
  becomes(
    'import { Context } from "effect"\nexport class Tag extends Context.Tag("id")<Tag, { readonly n: number }>() {}',
    'import { Context } from "effect"\nexport class Tag extends Context.Service<Tag, { readonly n: number }>()("id") {}'
  )
})

test("a local name that an import needs is not taken", () => {
  becomes(
    'import { Either } from "effect"\nconst Result = 1\nexport const a = Either.right(Result)',
    'import { Result as Result_ } from "effect"\nconst Result = 1\nexport const a = Result_.succeed(Result)'
  )
})

test("a name without a rule is reported", () => {
  const { unknown } = rewritten('import { STM } from "effect"\nexport const a = STM.succeed(1)')
  assert.deepEqual(unknown, ["effect/STM.succeed"])
})

test("the fields of a tool are a struct, and the AI modules are imported one by one", () => {
  becomes(
    'import { Tool } from "@effect/ai"\nimport { Schema } from "effect"\nexport const a = Tool.make("a", { parameters: { b: Schema.String }, success: Schema.String })\nexport const c = Tool.make("c", { parameters: Schema.Struct({}) })',
    'import * as Tool from "effect/ai/Tool"\nimport { Schema } from "effect"\n\nexport const a = Tool.make("a", { parameters: Schema.Struct({ b: Schema.String }), success: Schema.String })\nexport const c = Tool.make("c", { parameters: Schema.Struct({}) })'
  )
  becomes(
    'import type { LanguageModel } from "@effect/ai"\nexport type A = LanguageModel.Service',
    'import type * as LanguageModel from "effect/ai/LanguageModel"\nexport type A = LanguageModel.LanguageModel'
  )
})

/** The names that a source of other statements than imports reports. */
const reports = (imports, text, expected) => {
  const from = imports.length === 0 ? "" : `import { ${imports.join(", ")} } from "effect"\n`
  assert.deepEqual(rewritten(from + text).unknown, expected)
}

test("an Either or an Option that is used as an Effect elsewhere is reported", () => {
  reports(
    ["Effect", "Either"],
    "export const a: Effect.Effect<number> = Effect.flatMap(Effect.void, () => Either.right(1))",
    ["Either"]
  )
  reports(
    ["Effect", "Option"],
    "export const a = Effect.gen(function* () { return yield* Option.some(1) as Option.Option<number> })",
    ["Option"]
  )
  reports(
    ["Effect", "Either"],
    "declare const find: () => Either.Either<number, string>\nexport const a: Effect.Effect<number, string> = Effect.suspend(find)",
    ["Either"]
  )
})

test("an unknown member of a module is reported, called or not, and in a type", () => {
  reports(["Effect"], "export const a = Effect.supervised", ["effect/Effect.supervised"])
  reports(["Supervisor"], "export type A = Supervisor.Supervisor<number>", ["effect/Supervisor.Supervisor"])
})

test("an unknown method or property of a value is reported, also where a pattern takes it", () => {
  reports(["Fiber"], "export const a = (fiber: Fiber.RuntimeFiber<number>) => fiber.getFiberRefs()", [
    "effect/Fiber.RuntimeFiber#getFiberRefs"
  ])
  reports(["Schedule"], "export const a = ({ initial }: Schedule.Schedule<number>) => initial", [
    "effect/Schedule.Schedule#initial"
  ])
})

test("methods of queues and a cause that is read as a tree are reported, and their functions are not", () => {
  reports(["Queue"], "export const a = (queue: Queue.Queue<number>) => [queue.offer(1), Queue.offer(queue, 1)]", [
    "effect/Queue.Enqueue#offer"
  ])
  reports(["Cause"], "export const a = (cause: Cause.Cause<string>) => [cause._tag, Cause.failureOption(cause)]", [
    "effect/Cause.Empty#_tag"
  ])
})

test("an import of an unknown module or name is reported, and so is what is not an import at the head of a file", () => {
  reports([], 'import { a } from "effect/Nothing"\nexport const b = a', ["effect/Nothing"])
  reports([], 'import { Nothing } from "effect"\nexport const b = Nothing', ["effect.Nothing"])
  reports([], 'import "effect/Effect"', ["effect/Effect"])
  reports([], 'export { Effect } from "effect"', ["effect"])
  reports([], 'export * from "effect/Effect"', ["effect/Effect"])
  reports([], 'export const a = () => import("effect")', ["effect"])
  reports([], 'export type A = import("effect").Effect.Effect<number>', ["effect"])
})

test("a call of a shape that its rule does not know is reported", () => {
  reports(
    ["Schema"],
    "const options = { key: Schema.String, value: Schema.String }\nexport const a = Schema.Record(options)",
    ["effect/Schema.Record"]
  )
  reports(["Struct"], 'export const a = Struct.omit("a")', ["effect/Struct.omit"])
  reports(["Effect"], "export const a = Effect.yieldNow({ priority: 1 })", ["effect/Effect.yieldNow"])
  reports(["Schema"], "export const a = [Schema.Union]", ["effect/Schema.Union"])
})

test("what stands for a name in tests alone is reported in the sources", () => {
  const text = 'import { Layer, Clock } from "effect"\nexport const a = (clock: Clock.Clock) => Layer.setClock(clock)'
  assert.deepEqual(rewritten(text).unknown, ["setClock"])
  assert.deepEqual(rewritten(text, "test/rewritten.ts").unknown, [])
})
