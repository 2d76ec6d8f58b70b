/**
 * What Effect 4 has no word for, or spells otherwise, with the signatures that the sources for Effect 3 use. Not part of the public API.
 */
import {
  Array as Arr,
  Cause,
  Chunk,
  Clock,
  Config,
  ConfigProvider,
  Context,
  Deferred,
  Duration,
  Effect,
  Fiber,
  Hash,
  Formatter,
  Latch,
  Metric,
  Option,
  Queue,
  Random,
  References,
  Result,
  Schedule,
  Scheduler,
  Schema,
  SchemaAST,
  SchemaIssue,
  Stream
} from "effect"
import type { Exit, LogLevel, Pull, Scope, Tracer } from "effect"
import { dual } from "effect/Function"
import { HttpClient } from "effect/http"
import type { HttpServerRequest, HttpServerResponse } from "effect/http"
import type { KeyValueStore as KeyValueStores } from "effect/persistence"
import * as Seeds from "./internal/random.js"

// Effects

export const identity = <A>(value: A): A => value

export const dieMessage = (message: string): Effect.Effect<never> => Effect.die(new RuntimeException(message))

export class RuntimeException extends Error {
  readonly _tag = "RuntimeException"
}

/** An interruption does not wait until the effect has ended. */
export const disconnect = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDetach(restore(effect), { uninterruptible: "inherit" }), (fiber) =>
      Effect.onInterrupt(restore(Fiber.join(fiber)), () => Effect.sync(() => fiber.interruptUnsafe()))
    )
  )

export interface TimeoutFail<E1> {
  readonly duration: Duration.Input
  readonly onTimeout: () => E1
}

export const timeoutFail: {
  <E1>(options: TimeoutFail<E1>): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | E1, R>
  <A, E, R, E1>(self: Effect.Effect<A, E, R>, options: TimeoutFail<E1>): Effect.Effect<A, E | E1, R>
} = dual(2, <A, E, R, E1>(self: Effect.Effect<A, E, R>, { duration, onTimeout }: TimeoutFail<E1>) =>
  Effect.timeoutOrElse(self, { duration, orElse: () => Effect.failSync(onTimeout) })
)

export const timeoutTo = <A, E, R, B, C>(
  self: Effect.Effect<A, E, R>,
  options: { readonly duration: Duration.Input; readonly onSuccess: (a: A) => B; readonly onTimeout: () => C }
): Effect.Effect<B | C, E, R> =>
  Effect.timeoutOrElse(
    Effect.map(self, (value): B | C => options.onSuccess(value)),
    { duration: options.duration, orElse: () => Effect.sync((): B | C => options.onTimeout()) }
  )

export const branch = <A, E, R, B, E2, R2, E3 = never, R3 = never>(
  condition: boolean | Effect.Effect<boolean, E3, R3>,
  options: { readonly onTrue: () => Effect.Effect<A, E, R>; readonly onFalse: () => Effect.Effect<B, E2, R2> }
): Effect.Effect<A | B, E | E2 | E3, R | R2 | R3> =>
  Effect.flatMap(
    typeof condition === "boolean" ? Effect.succeed(condition) : condition,
    (is): Effect.Effect<A | B, E | E2, R | R2> => (is ? options.onTrue() : options.onFalse())
  )

export const whenEffect: {
  <E2, R2>(
    condition: Effect.Effect<boolean, E2, R2>
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<Option.Option<A>, E | E2, R | R2>
  <A, E, R, E2, R2>(
    self: Effect.Effect<A, E, R>,
    condition: Effect.Effect<boolean, E2, R2>
  ): Effect.Effect<Option.Option<A>, E | E2, R | R2>
} = dual(2, <A, E, R, E2, R2>(self: Effect.Effect<A, E, R>, condition: Effect.Effect<boolean, E2, R2>) =>
  Effect.flatMap(condition, (is) => (is ? Effect.asSome(self) : Effect.succeedNone))
)

interface TapBoth<E, X, E2, R2, A, X1, E3, R3> {
  readonly onFailure: (error: E) => Effect.Effect<X, E2, R2>
  readonly onSuccess: (value: A) => Effect.Effect<X1, E3, R3>
}

export const tapBoth: {
  <E, X, E2, R2, A, X1, E3, R3>(
    options: TapBoth<E, X, E2, R2, A, X1, E3, R3>
  ): <R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | E2 | E3, R | R2 | R3>
  <A, E, R, X, E2, R2, X1, E3, R3>(
    self: Effect.Effect<A, E, R>,
    options: TapBoth<E, X, E2, R2, A, X1, E3, R3>
  ): Effect.Effect<A, E | E2 | E3, R | R2 | R3>
} = dual(
  2,
  <A, E, R, X, E2, R2, X1, E3, R3>(
    self: Effect.Effect<A, E, R>,
    { onFailure, onSuccess }: TapBoth<E, X, E2, R2, A, X1, E3, R3>
  ) => {
    const failing: Effect.Effect<A, E | E2, R | R2> = Effect.tapError(self, onFailure)
    return Effect.tap(failing, (value: A) => onSuccess(value))
  }
)

export const withClock: {
  (clock: Clock.Clock): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, clock: Clock.Clock): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, clock: Clock.Clock) =>
  Effect.provideService(self, Clock.Clock, clock)
)

export const withRandom: {
  (random: Random.Random): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, random: Random.Random): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, random: Random.Random) =>
  Effect.provideService(self, Random.Random, random)
)

export const withScheduler: {
  (scheduler: Scheduler.Scheduler): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, scheduler: Scheduler.Scheduler): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, scheduler: Scheduler.Scheduler) =>
  Effect.provideService(self, Scheduler.Scheduler, scheduler)
)

export const withConfigProvider: {
  (provider: ConfigProvider.ConfigProvider): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, provider: ConfigProvider.ConfigProvider): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, provider: ConfigProvider.ConfigProvider) =>
  Effect.provideService(self, ConfigProvider.ConfigProvider, provider)
)

export const configProviderWith = <A, E, R>(
  use: (provider: ConfigProvider.ConfigProvider) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => Effect.flatMap(ConfigProvider.ConfigProvider, use)

export const tracerWith = <A, E, R>(use: (tracer: Tracer.Tracer) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Effect.tracer, use)

export const contextWith = <R, A>(use: (context: Context.Context<R>) => A): Effect.Effect<A, never, R> =>
  Effect.map(Effect.context<R>(), use)

export const mapInputContext: {
  <R, R2>(
    change: (context: Context.Context<R2>) => Context.Context<R>
  ): <A, E>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R2>
  <A, E, R, R2>(
    self: Effect.Effect<A, E, R>,
    change: (context: Context.Context<R2>) => Context.Context<R>
  ): Effect.Effect<A, E, R2>
} = dual(2, <A, E, R, R2>(self: Effect.Effect<A, E, R>, change: (context: Context.Context<R2>) => Context.Context<R>) =>
  Effect.flatMap(Effect.context<R2>(), (context) => Effect.provideContext(self, change(context)))
)

export const contextWithEffect = <R, A, E, R2>(
  use: (context: Context.Context<R>) => Effect.Effect<A, E, R2>
): Effect.Effect<A, E, R | R2> => Effect.flatMap(Effect.context<R>(), use)

/** Changes the context of the running fiber. */
export const modifyContext = <B>(
  change: (context: Context.Context<never>) => readonly [B, Context.Context<never>]
): Effect.Effect<B> =>
  Effect.withFiberSucceed((fiber) => {
    const [answer, context] = change(fiber.context)
    fiber.setContext(context)
    return answer
  })

export const updateContext = (
  change: (context: Context.Context<never>) => Context.Context<never>
): Effect.Effect<void> => modifyContext((context) => [undefined, change(context)])

export const setContext = (context: Context.Context<never>): Effect.Effect<void> => updateContext(() => context)

export const repeatN: {
  (times: number): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, times: number): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, times: number) => Effect.repeat(self, { times }))

// Waits

/**
 * Goes on in a task of its own after a wait, as Effect 3 does. Effect 4 resumes a fiber within the step that ends its wait: the fiber would
 * see the state before that step has stored its change, and each of many that wait in a row would run within the one before it.
 */
const inOwnTask = <A, E, R>(wait: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(wait, (value) => Effect.as(Effect.yieldNow, value))

export const awaitDeferred = <A, E>(deferred: Deferred.Deferred<A, E>): Effect.Effect<A, E> =>
  Effect.suspend(() => {
    const wait = Deferred.await(deferred)
    return Deferred.isDoneUnsafe(deferred) ? wait : inOwnTask(wait)
  })

export const awaitLatch = (latch: Latch.Latch): Effect.Effect<void> =>
  Effect.suspend(() => (latch.isOpen() ? Effect.void : inOwnTask(latch.await)))

// Fibers

/** Fibers of Effect 3 begin in the region of their parent: one that is forked where it cannot be interrupted cannot be either. */
const inherit = { uninterruptible: "inherit" } as const

export const fork = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Fiber.Fiber<A, E>, never, R> =>
  Effect.forkChild(effect, inherit)

export const forkDaemon = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Fiber.Fiber<A, E>, never, R> =>
  Effect.forkDetach(effect, inherit)

export const forkScoped = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<Fiber.Fiber<A, E>, never, R | Scope.Scope> => Effect.forkScoped(effect, inherit)

export const forkIn: {
  (scope: Scope.Scope): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Fiber.Fiber<A, E>, never, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, scope: Scope.Scope): Effect.Effect<Fiber.Fiber<A, E>, never, R>
} = dual(2, <A, E, R>(effect: Effect.Effect<A, E, R>, scope: Scope.Scope) => Effect.forkIn(effect, scope, inherit))

export type FiberSuccess<F> = F extends Fiber.Fiber<infer A, infer _E> ? A : never

export const interruptFiber = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<Exit.Exit<A, E>> =>
  Effect.andThen(Fiber.interrupt(fiber), Fiber.await(fiber))

export const interruptFork = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<void> =>
  Effect.sync(() => fiber.interruptUnsafe())

export const pollFiber = <A, E>(fiber: Fiber.Fiber<A, E>): Exit.Exit<A, E> | null => fiber.pollUnsafe() ?? null

export const pollFiberEffect = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<Option.Option<Exit.Exit<A, E>>> =>
  Effect.sync(() => Option.fromNullishOr(fiber.pollUnsafe()))

export const currentFiber = (): Option.Option<Fiber.Fiber<unknown, unknown>> => Option.fromNullishOr(Fiber.getCurrent())

/** The runtime of Effect 3 is a context here. */
export type Runtime<R> = Context.Context<R>

export const runForkIn =
  <R>(context: Context.Context<R>) =>
  <A, E>(effect: Effect.Effect<A, E, R>): Fiber.Fiber<A, E> =>
    Effect.runForkWith(context)(effect)

export const runPromiseIn =
  <R>(context: Context.Context<R>) =>
  <A, E>(effect: Effect.Effect<A, E, R>, options?: { readonly signal?: AbortSignal }): Promise<A> =>
    Effect.runPromiseWith(context)(effect, options)

export const defaultRuntime: Context.Context<never> = Context.empty()

// Causes

export const isEmptyCause = <E>(cause: Cause.Cause<E>): boolean => cause.reasons.length === 0

export const hasFails = <E>(cause: Cause.Cause<E>): boolean => Cause.hasFails(cause)

export const dieOption = <E>(cause: Cause.Cause<E>): Option.Option<unknown> =>
  Option.map(Option.fromNullishOr(cause.reasons.find(Cause.isDieReason)), ({ defect }) => defect)

export const failureOrCause = <E>(cause: Cause.Cause<E>): Result.Result<Cause.Cause<never>, E> => {
  const failed = cause.reasons.find(Cause.isFailReason)
  return failed === undefined
    ? Result.succeed(Cause.fromReasons(cause.reasons.filter((reason) => !Cause.isFailReason(reason))))
    : Result.fail(failed.error)
}

export const flatMapCause = <E, E2>(cause: Cause.Cause<E>, change: (error: E) => Cause.Cause<E2>): Cause.Cause<E2> =>
  Cause.fromReasons(
    cause.reasons.flatMap((reason): ReadonlyArray<Cause.Reason<E2>> =>
      Cause.isFailReason(reason) ? change(reason.error).reasons : [reason]
    )
  )

export const tagMetrics: {
  (name: string, value: string): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, name: string, value: string): Effect.Effect<A, E, R>
} = dual(3, <A, E, R>(self: Effect.Effect<A, E, R>, name: string, value: string) =>
  Effect.updateService(self, Metric.CurrentMetricAttributes, (attributes) => ({ ...attributes, [name]: value }))
)

/** Draws that a seed determines. */
export const randomOf = (seed: unknown): Random.Random => {
  let state = Hash.hash(seed)
  const nextDoubleUnsafe = (): number => {
    state = Seeds.next(state)
    return Seeds.uniform(state)
  }
  return {
    nextDoubleUnsafe,
    nextIntUnsafe: () =>
      Math.floor(nextDoubleUnsafe() * (Number.MAX_SAFE_INTEGER - Number.MIN_SAFE_INTEGER)) + Number.MIN_SAFE_INTEGER
  }
}

/** Draws a whole number below the maximum. */
export const nextIntBetween = (min: number, max: number): Effect.Effect<number> =>
  Random.nextIntBetween(min, max, { halfOpen: true })

// Durations and schedules

/** The duration of any value, if it is one. */
export const durationOf = (value: unknown): Option.Option<Duration.Duration> =>
  isDurationInput(value) ? Duration.fromInput(value) : Option.none()

const isDurationInput = (value: unknown): value is Duration.Input =>
  typeof value === "string" ||
  typeof value === "number" ||
  typeof value === "bigint" ||
  Duration.isDuration(value) ||
  isTimes(value)

const isTimes = (value: unknown): value is readonly [number, number] =>
  Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === "number")

/** Recurs while either does, after the shorter delay. */
export const scheduleUnion =
  <Out2, In2, E2, R2>(that: Schedule.Schedule<Out2, In2, E2, R2>) =>
  <Out, In, E, R>(self: Schedule.Schedule<Out, In, E, R>) =>
    Schedule.min([self, that])

// Arrays

export const filterMap: {
  <A, B>(f: (a: A, index: number) => Option.Option<B>): (items: Iterable<A>) => Array<B>
  <A, B>(items: Iterable<A>, f: (a: A, index: number) => Option.Option<B>): Array<B>
} = dual(2, <A, B>(items: Iterable<A>, f: (a: A, index: number) => Option.Option<B>) =>
  Arr.getSomes(Array.from(items, f))
)

export const partition: {
  <A>(items: Iterable<A>, is: (a: A, index: number) => boolean): [Array<A>, Array<A>]
} = <A>(items: Iterable<A>, is: (a: A, index: number) => boolean): [Array<A>, Array<A>] => {
  const others: Array<A> = []
  const found: Array<A> = []
  let index = 0
  for (const item of items) (is(item, index++) ? found : others).push(item)
  return [others, found]
}

// Schemas

export interface FlatIssue {
  readonly _tag: SchemaIssue.Issue["_tag"]
  readonly path: ReadonlyArray<PropertyKey>
  readonly message: string
}

const standardIssues = SchemaIssue.makeFormatterStandardSchemaV1()

/** The messages of Effect 3. */
const worded = (message: string): string =>
  message === "Missing key"
    ? "is missing"
    : /^(Unexpected key|Expected no excess property)/.test(message)
      ? "is unexpected"
      : message.replace(/^(Expected [^]*), got /, "$1, actual ")

const literalsOf = (ast: SchemaAST.AST): ReadonlyArray<unknown> =>
  SchemaAST.isLiteral(ast)
    ? [ast.literal]
    : SchemaAST.isUnion(ast) && ast.types.every(SchemaAST.isLiteral)
      ? ast.types.flatMap(literalsOf)
      : []

/** The property whose literals tell the members of a union apart, and the literals. */
const discriminatorOf = (ast: SchemaAST.Union): readonly [PropertyKey, ReadonlyArray<unknown>] | undefined => {
  const members = ast.types.filter(SchemaAST.isObjects)
  const [first] = members
  for (const { name } of first?.propertySignatures ?? []) {
    const literals = members.map(({ propertySignatures }) =>
      propertySignatures.filter((property) => property.name === name).flatMap(({ type }) => literalsOf(type))
    )
    if (literals.every(({ length }) => length > 0)) return [name, [...new Set(literals.flat())]]
  }
  return undefined
}

/** A value that has no member of a union is wrong in the property that names the member. */
const withoutMember = (issue: SchemaIssue.AnyOf, path: ReadonlyArray<PropertyKey>): FlatIssue => {
  const { input } = issue
  const found = typeof input === "object" && input !== null ? discriminatorOf(issue.ast) : undefined
  if (found === undefined) return leafOf(issue, path)
  const [name, literals] = found
  const value: unknown = Object.getOwnPropertyDescriptor(input, name)?.value
  return {
    _tag: issue._tag,
    path: [...path, name],
    message:
      value === undefined
        ? "is missing"
        : `Expected ${literals.map((literal) => JSON.stringify(literal)).join(" | ")}, actual ${Formatter.format(value)}`
  }
}

const leafOf = (issue: SchemaIssue.Issue, path: ReadonlyArray<PropertyKey>): FlatIssue => {
  const [first] = standardIssues(issue).issues
  const inner = (first?.path ?? []).map((step) => (typeof step === "object" ? step.key : step))
  return { _tag: issue._tag, path: [...path, ...inner], message: worded(first?.message ?? "") }
}

const flatIssues = (issue: SchemaIssue.Issue, path: ReadonlyArray<PropertyKey> = []): Array<FlatIssue> => {
  switch (issue._tag) {
    case "Pointer":
      return flatIssues(issue.issue, [...path, ...issue.path])
    case "Composite":
      return issue.issues.flatMap((inner) => flatIssues(inner, path))
    case "AnyOf":
      return issue.issues.length === 0
        ? [withoutMember(issue, path)]
        : issue.issues.flatMap((inner) => flatIssues(inner, path))
    case "Encoding":
      return flatIssues(issue.issue, path)
    default:
      return [leafOf(issue, path)]
  }
}

export const ArrayFormatter = {
  formatIssueSync: (issue: SchemaIssue.Issue): Array<FlatIssue> => flatIssues(issue),
  formatErrorSync: (error: Schema.SchemaError): Array<FlatIssue> => flatIssues(error.issue)
}

export const TreeFormatter = {
  formatIssueSync: (issue: SchemaIssue.Issue): string => String(issue),
  formatErrorSync: (error: Schema.SchemaError): string => error.message
}

export const validateEither = <A, I, R>(
  schema: Schema.Codec<A, I, R, R>,
  options?: SchemaAST.ParseOptions
): ((value: unknown) => Result.Result<A, SchemaIssue.Issue>) => {
  const decode = Schema.decodeUnknownResult(Schema.toType(schema), { ...options, reportInput: true })
  return (value) => Result.mapError(decode(value), (error) => error.issue)
}

export const validateOption = <A, I, R>(schema: Schema.Codec<A, I, R, R>): ((value: unknown) => Option.Option<A>) =>
  Schema.decodeUnknownOption(Schema.toType(schema))

export const identifierOf = (ast: SchemaAST.AST): Option.Option<string> =>
  Option.fromNullishOr(SchemaAST.resolveIdentifier(ast))

export const propertySignatures = (ast: SchemaAST.AST): ReadonlyArray<{ readonly name: PropertyKey }> =>
  SchemaAST.isObjects(ast)
    ? ast.propertySignatures
    : SchemaAST.isUnion(ast)
      ? ast.types
          .map(propertySignatures)
          .reduce((common, next) => common.filter(({ name }) => next.some((other) => other.name === name)))
      : []

// Configuration

const issue = (message: string): Config.ConfigError =>
  new Config.ConfigError(new ConfigProvider.SourceError({ message }))

const named = (path: ReadonlyArray<string>, message: string): string =>
  path.length === 0 ? message : `${message} at ${path.join("_")}`

export const missingData = (path: ReadonlyArray<string>, message: string): Config.ConfigError =>
  issue(named(path, message))

export const invalidData = (path: ReadonlyArray<string>, message: string): Config.ConfigError =>
  issue(named(path, message))

/** The error names the variable. */
export const configMapOrFail = <A, B>(
  config: Config.Config<A>,
  change: (value: A) => Result.Result<B, Config.ConfigError>,
  variable?: string
): Config.Config<B> =>
  Config.mapEffect(config, (value) =>
    Effect.mapError(Effect.fromResult(change(value)), (error) =>
      variable === undefined ? error : issue(`${variable}: ${error.cause.message}`)
    )
  )

// Logs

export const withMinimumLogLevel: {
  (level: LogLevel.LogLevel): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, level: LogLevel.LogLevel): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, level: LogLevel.LogLevel) =>
  Effect.provideService(self, References.MinimumLogLevel, level)
)

// Metrics

export interface MetricLabel {
  readonly key: string
  readonly value: string
}

export const makeMetricLabel = (key: string, value: string): MetricLabel => ({ key, value })

/** What Effect 3 calls a key: makes the metric of given attributes. */
export interface MetricKey<M> {
  readonly attributes: Readonly<Record<string, string>>
  readonly make: (attributes: Readonly<Record<string, string>>) => M
}

export type CounterKey = MetricKey<Metric.Counter<number>>
export type GaugeKey = MetricKey<Metric.Gauge<number>>

const key = <M>(make: MetricKey<M>["make"]): MetricKey<M> => ({ attributes: {}, make })

interface Described {
  readonly description?: string | undefined
}

export const counterKey = (name: string, options?: Described & { readonly incremental?: boolean }): CounterKey =>
  key((attributes) => Metric.counter(name, { ...options, attributes }))

export const gaugeKey = (name: string, options?: Described): GaugeKey =>
  key((attributes) => Metric.gauge(name, { ...options, attributes }))

/** The upper bounds of buckets. Those of Effect 4 leave out zero and what is below it. */
export const boundariesFromIterable = (iterable: Iterable<number>): ReadonlyArray<number> => [
  ...new Set([...iterable, Infinity])
]

export const histogramKey = (
  name: string,
  boundaries: ReadonlyArray<number>,
  description?: string
): MetricKey<Metric.Histogram<number>> =>
  key((attributes) => Metric.histogram(name, { description, boundaries, attributes }))

export const summaryKey = (
  options: Described & {
    readonly name: string
    readonly maxAge: Duration.Input
    readonly maxSize: number
    readonly error: number
    readonly quantiles: ReadonlyArray<number>
  }
): MetricKey<Metric.Summary<[number, number]>> =>
  key((attributes) => Metric.summaryWithTimestamp(options.name, { ...options, attributes }))

export const taggedKey: {
  (labels: Iterable<MetricLabel>): <M>(self: MetricKey<M>) => MetricKey<M>
  <M>(self: MetricKey<M>, labels: Iterable<MetricLabel>): MetricKey<M>
} = dual(2, <M>(self: MetricKey<M>, labels: Iterable<MetricLabel>) => ({
  make: self.make,
  attributes: {
    ...self.attributes,
    ...Object.fromEntries(Array.from(labels, ({ key: name, value }) => [name, value]))
  }
}))

export const metricOfKey = <M>(self: MetricKey<M>): M => self.make(self.attributes)

export const taggedMetric: {
  (name: string, value: string): <Input, State>(self: Metric.Metric<Input, State>) => Metric.Metric<Input, State>
  <Input, State>(self: Metric.Metric<Input, State>, name: string, value: string): Metric.Metric<Input, State>
} = dual(3, <Input, State>(self: Metric.Metric<Input, State>, name: string, value: string) =>
  Metric.withAttributes(self, { [name]: value })
)

export const increment = (self: Metric.Counter<number>): Effect.Effect<void> => Metric.update(self, 1)

// Streams, whose chunks and ends stay those of Effect 3 inside

export type Pulling<A, E, R = never> = Effect.Effect<Chunk.Chunk<A>, Option.Option<E>, R>

export const fromPull = <A, E, R, R2>(
  open: Effect.Effect<Pulling<A, E, R2>, never, R>
): Stream.Stream<A, E, Exclude<R, Scope.Scope> | R2> =>
  Stream.scoped(
    Stream.fromPull(
      Effect.map(open, (pull): Pull.Pull<Arr.NonEmptyReadonlyArray<A>, E, void, R2> =>
        Effect.flatMap(
          Effect.mapError(pull, (end): E | Cause.Done<void> => (Option.isNone(end) ? Cause.Done() : end.value)),
          nonEmpty(pull)
        )
      )
    )
  )

/** An empty chunk is no end: it is pulled again. */
const nonEmpty =
  <A, E, R>(pull: Pulling<A, E, R>) =>
  (chunk: Chunk.Chunk<A>): Pull.Pull<Arr.NonEmptyReadonlyArray<A>, E, void, R> => {
    const items = Chunk.toReadonlyArray(chunk)
    return Arr.isReadonlyArrayNonEmpty(items)
      ? Effect.succeed(items)
      : Effect.flatMap(
          Effect.mapError(pull, (end): E | Cause.Done<void> => (Option.isNone(end) ? Cause.Done() : end.value)),
          nonEmpty(pull)
        )
  }

export const toPull = <A, E, R>(stream: Stream.Stream<A, E, R>): Effect.Effect<Pulling<A, E>, never, R | Scope.Scope> =>
  Effect.map(Stream.toPull(stream), (pull) =>
    Effect.map(
      Effect.mapError(pull, (error): Option.Option<E> => (Cause.isDone(error) ? Option.none() : Option.some(error))),
      (items) => Chunk.fromIterable(items)
    )
  )

export const mapChunks =
  <A, B>(f: (chunk: Chunk.Chunk<A>) => Chunk.Chunk<B>) =>
  <E, R>(stream: Stream.Stream<A, E, R>): Stream.Stream<B, E, R> =>
    mapChunksEffect((chunk: Chunk.Chunk<A>) => Effect.succeed(f(chunk)))(stream)

export const mapChunksEffect: {
  <A, B, E2, R2>(
    f: (chunk: Chunk.Chunk<A>) => Effect.Effect<Chunk.Chunk<B>, E2, R2>
  ): <E, R>(stream: Stream.Stream<A, E, R>) => Stream.Stream<B, E | E2, R | R2>
  <A, E, R, B, E2, R2>(
    stream: Stream.Stream<A, E, R>,
    f: (chunk: Chunk.Chunk<A>) => Effect.Effect<Chunk.Chunk<B>, E2, R2>
  ): Stream.Stream<B, E | E2, R | R2>
} = dual(
  2,
  <A, E, R, B, E2, R2>(
    stream: Stream.Stream<A, E, R>,
    f: (chunk: Chunk.Chunk<A>) => Effect.Effect<Chunk.Chunk<B>, E2, R2>
  ): Stream.Stream<B, E | E2, R | R2> =>
    flattenChunks(Stream.mapEffect(Stream.chunks(stream), (items) => f(Chunk.fromIterable(items))))
)

export const fromChunk = <A>(chunk: Chunk.Chunk<A>): Stream.Stream<A> => Stream.fromArray(Chunk.toReadonlyArray(chunk))

export const fromChunks = <A>(...chunks: ReadonlyArray<Chunk.Chunk<A>>): Stream.Stream<A> =>
  Stream.fromArrays(...chunks.map(Chunk.toReadonlyArray))

export const flattenChunks = <A, E, R>(stream: Stream.Stream<Chunk.Chunk<A>, E, R>): Stream.Stream<A, E, R> =>
  Stream.flatMap(stream, fromChunk)

export const repeatChunks = <A, E, R>(pull: Pulling<A, E, R>): Stream.Stream<A, E, R> => fromPull(Effect.succeed(pull))

export const filterMapStream: {
  <A, B>(f: (a: A) => Option.Option<B>): <E, R>(stream: Stream.Stream<A, E, R>) => Stream.Stream<B, E, R>
  <A, E, R, B>(stream: Stream.Stream<A, E, R>, f: (a: A) => Option.Option<B>): Stream.Stream<B, E, R>
} = dual(2, <A, E, R, B>(stream: Stream.Stream<A, E, R>, f: (a: A) => Option.Option<B>) =>
  Stream.filterMap(stream, (a) => Result.fromOption(f(a), () => undefined))
)

export const unfoldStream = <S, A, E, R>(
  start: S,
  next: (state: S) => Effect.Effect<Option.Option<readonly [A, S]>, E, R>
): Stream.Stream<A, E, R> => Stream.unfold(start, (state: S) => Effect.map(next(state), Option.getOrUndefined))

export const runCollect = <A, E, R>(stream: Stream.Stream<A, E, R>): Effect.Effect<Chunk.Chunk<A>, E, R> =>
  Effect.map(Stream.runCollect(stream), (items) => Chunk.fromIterable(items))

export const runForEachChunk: {
  <A, X, E2, R2>(
    f: (chunk: Chunk.Chunk<A>) => Effect.Effect<X, E2, R2>
  ): <E, R>(stream: Stream.Stream<A, E, R>) => Effect.Effect<void, E | E2, R | R2>
  <A, E, R, X, E2, R2>(
    stream: Stream.Stream<A, E, R>,
    f: (chunk: Chunk.Chunk<A>) => Effect.Effect<X, E2, R2>
  ): Effect.Effect<void, E | E2, R | R2>
} = dual(
  2,
  <A, E, R, X, E2, R2>(stream: Stream.Stream<A, E, R>, f: (chunk: Chunk.Chunk<A>) => Effect.Effect<X, E2, R2>) =>
    Stream.runForEachArray(stream, (items) => f(Chunk.fromIterable(items)))
)

export const unwrapScopedWith = <A, E2, R2, E, R>(
  open: (scope: Scope.Scope) => Effect.Effect<Stream.Stream<A, E2, R2>, E, R>
): Stream.Stream<A, E | E2, R | R2> => Stream.unwrap(Effect.flatMap(Effect.scope, open))

export const ensuringWith: {
  <E, X, R2>(
    finalizer: (exit: Exit.Exit<unknown, E>) => Effect.Effect<X, never, R2>
  ): <A, R>(stream: Stream.Stream<A, E, R>) => Stream.Stream<A, E, R | R2>
  <A, E, R, X, R2>(
    stream: Stream.Stream<A, E, R>,
    finalizer: (exit: Exit.Exit<unknown, E>) => Effect.Effect<X, never, R2>
  ): Stream.Stream<A, E, R | R2>
} = dual(
  2,
  <A, E, R, X, R2>(
    stream: Stream.Stream<A, E, R>,
    finalizer: (exit: Exit.Exit<unknown, E>) => Effect.Effect<X, never, R2>
  ) => Stream.onExit(stream, finalizer)
)

/** All items of a queue, of which there can be none. */
export const takeAll = <A>(queue: Queue.Dequeue<A>): Effect.Effect<Chunk.Chunk<A>> =>
  Effect.map(Queue.clear(queue), (items) => Chunk.fromIterable(items))

// Mailboxes are queues with an end

export const makeMailbox = <A, E = never>(
  options?: number | { readonly capacity?: number; readonly strategy?: "suspend" | "dropping" | "sliding" }
): Effect.Effect<Queue.Queue<A, E | Cause.Done>> =>
  Queue.make<A, E | Cause.Done>(typeof options === "number" ? { capacity: options } : options)

export const offerMailbox = <A, E>(mailbox: Queue.Enqueue<A, E>, item: A): Effect.Effect<boolean> =>
  Queue.offer(mailbox, item)

export const endMailbox = <A, E>(mailbox: Queue.Enqueue<A, E | Cause.Done>): Effect.Effect<boolean> =>
  Queue.end(mailbox)

// The platform

/** That of `effect/persistence`, whose module would import `effect/sql`. */
export const KeyValueStore = Context.Service<KeyValueStores.KeyValueStore, KeyValueStores.KeyValueStore>(
  "effect/persistence/KeyValueStore"
)

export type HttpApp<E = never, R = never> = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  E,
  R | HttpServerRequest.HttpServerRequest
>

export const withTracerDisabledWhen: {
  (
    is: Parameters<typeof HttpClient.TracerDisabledWhen.of>[0]
  ): <E, R>(client: HttpClient.HttpClient.With<E, R>) => HttpClient.HttpClient.With<E, R>
  <E, R>(
    client: HttpClient.HttpClient.With<E, R>,
    is: Parameters<typeof HttpClient.TracerDisabledWhen.of>[0]
  ): HttpClient.HttpClient.With<E, R>
} = dual(
  2,
  <E, R>(client: HttpClient.HttpClient.With<E, R>, is: Parameters<typeof HttpClient.TracerDisabledWhen.of>[0]) =>
    HttpClient.transformResponse(client, Effect.provideService(HttpClient.TracerDisabledWhen, is))
)
