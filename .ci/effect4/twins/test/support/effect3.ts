/** What the tests use of Effect 3, over Effect 4. */
import {
  Arbitrary,
  Cause,
  Chunk,
  Clock,
  ConfigProvider,
  Duration,
  Effect,
  Exit,
  Fiber,
  HashMap,
  Layer,
  Logger,
  Metric,
  Pipeable,
  PlatformError,
  References,
  Schedule,
  Scheduler,
  Schema,
  SchemaTransformation,
  Stream,
  Tracer
} from "effect"
import type { Context, LogLevel, Scope } from "effect"
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { dual } from "effect/Function"
import { TestClock } from "effect/testing"
import type { HttpClientRequest, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpClient, HttpClientError, HttpEffect, HttpServerResponse as ServerResponse } from "effect/http"
import { KeyValueStore, Persistence } from "effect/persistence"
import * as fc from "fast-check"
import type { HttpApp, MetricLabel } from "../../src/facade.js"
import type { Router } from "../../src/gateway/http/router.js"
import { make } from "../../src/gateway/http/router.js"
import { documentOf } from "../../src/programs/tools/schemaDocument.js"

/** Generates by a seed that fast-check draws. */
export const arbitraryOf = <A, I, R>(schema: Schema.Codec<A, I, R, R>): fc.Arbitrary<A> => {
  const arbitrary = Arbitrary.schema(schema)
  return fc.nat().map((seed) => {
    const [value] = Effect.runSync(Arbitrary.sampleEffect(arbitrary, { count: 1, seed }))
    if (value === undefined) throw new Error("nothing was generated")
    return value
  })
}

export const setTracer = (tracer: Tracer.Tracer): Layer.Layer<never> => Layer.succeed(Tracer.Tracer, tracer)

export const setClock = (clock: Clock.Clock): Layer.Layer<never> => Layer.succeed(Clock.Clock, clock)

export const failuresOf = <E>(cause: Cause.Cause<E>): Chunk.Chunk<E> =>
  Chunk.fromIterable(cause.reasons.filter(Cause.isFailReason).map(({ error }) => error))

export const defectsOf = <E>(cause: Cause.Cause<E>): Chunk.Chunk<unknown> =>
  Chunk.fromIterable(cause.reasons.filter(Cause.isDieReason).map(({ defect }) => defect))

export const flatMapExit = <A, E, B, E2>(
  exit: Exit.Exit<A, E>,
  next: (value: A) => Exit.Exit<B, E2>
): Exit.Exit<B, E | E2> => (Exit.isSuccess(exit) ? next(exit.value) : Exit.failCause(exit.cause))

export const flattenExit = <A, E, E2>(exit: Exit.Exit<Exit.Exit<A, E>, E2>): Exit.Exit<A, E | E2> =>
  flatMapExit(exit, (inner) => inner)

export const getOrElseExit = <A, E, B>(exit: Exit.Exit<A, E>, other: (cause: Cause.Cause<E>) => B): A | B =>
  Exit.isSuccess(exit) ? exit.value : other(exit.cause)

export const iterate = <A, E, R>(
  start: A,
  options: { readonly while: (value: A) => boolean; readonly body: (value: A) => Effect.Effect<A, E, R> }
): Effect.Effect<A, E, R> =>
  Effect.suspend(() =>
    options.while(start) ? Effect.flatMap(options.body(start), (next) => iterate(next, options)) : Effect.succeed(start)
  )

export const streamAcquireRelease = <A, E, R, X, R2>(
  acquire: Effect.Effect<A, E, R>,
  release: (value: A) => Effect.Effect<X, never, R2>
): Stream.Stream<A, E, R | R2> =>
  Stream.scoped(Stream.fromEffect(Effect.acquireRelease(acquire, (value) => release(value))))

export const repeatChunk = <A, E, R>(chunk: Effect.Effect<Chunk.Chunk<A>, E, R>): Stream.Stream<A, E, R> =>
  Stream.flatMap(Stream.fromEffectRepeat(chunk), (items) => Stream.fromIterable(items))

export const mapConcat: {
  <A, B>(f: (a: A) => Iterable<B>): <E, R>(stream: Stream.Stream<A, E, R>) => Stream.Stream<B, E, R>
  <A, E, R, B>(stream: Stream.Stream<A, E, R>, f: (a: A) => Iterable<B>): Stream.Stream<B, E, R>
} = dual(2, <A, E, R, B>(stream: Stream.Stream<A, E, R>, f: (a: A) => Iterable<B>) =>
  Stream.flattenIterable(Stream.map(stream, f))
)

/**
 * Moves the clock of the test on in parts. Fibers that wait for the machine, such as for a file or the body of a response, go on before,
 * between and after them: those of Effect 4 are not waited for, so that time would have passed before they sleep again.
 */
export const adjust = (duration: Duration.Input): Effect.Effect<void> => {
  const millis = Duration.toMillis(Duration.fromInputUnsafe(duration))
  const part = Math.max(1, Math.ceil(millis / 20))
  const moves: Array<Effect.Effect<void>> = []
  let left = millis
  for (; left > part; left -= part) moves.push(TestClock.adjust(part), immediates)
  return Effect.all([turns, ...moves, TestClock.adjust(left), turns], { discard: true })
}

const turns = Effect.promise(async () => {
  for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => setTimeout(resolve, 0))
})

const immediates = Effect.promise(async () => {
  for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
})

// Schedules

export const scheduleIntersect: {
  <O2, I2>(that: Schedule.Schedule<O2, I2>): <O, I>(self: Schedule.Schedule<O, I>) => Schedule.Schedule<unknown, I & I2>
  <O, I, O2, I2>(self: Schedule.Schedule<O, I>, that: Schedule.Schedule<O2, I2>): Schedule.Schedule<unknown, I & I2>
} = dual(2, <O, I, O2, I2>(self: Schedule.Schedule<O, I>, that: Schedule.Schedule<O2, I2>) =>
  Schedule.max([self, that])
)

export const recurWhile = <A>(is: (value: A) => boolean): Schedule.Schedule<number, A> =>
  Schedule.forever.pipe(
    Schedule.setInputType<A>(),
    Schedule.while(({ input }) => Effect.succeed(is(input)))
  )

export const addDelay = <O, I, E, R>(
  self: Schedule.Schedule<O, I, E, R>,
  delay: (output: O) => Duration.Input
): Schedule.Schedule<O, I, E, R> => Schedule.addDelay(self, ({ output }) => Effect.succeed(delay(output)))

export const addDelayEffect: {
  <O, E2, R2>(
    f: (output: O) => Effect.Effect<Duration.Input, E2, R2>
  ): <I, E, R>(self: Schedule.Schedule<O, I, E, R>) => Schedule.Schedule<O, I, E | E2, R | R2>
  <O, I, E, R, E2, R2>(
    self: Schedule.Schedule<O, I, E, R>,
    f: (output: O) => Effect.Effect<Duration.Input, E2, R2>
  ): Schedule.Schedule<O, I, E | E2, R | R2>
} = dual(
  2,
  <O, I, E, R, E2, R2>(self: Schedule.Schedule<O, I, E, R>, f: (output: O) => Effect.Effect<Duration.Input, E2, R2>) =>
    Schedule.addDelay(self, ({ output }) => f(output))
)

// Fibers

export const zipFibers = <A, E, B, E2>(
  self: Fiber.Fiber<A, E>,
  that: Fiber.Fiber<B, E2>
): Fiber.Fiber<[A, B], E | E2> => Effect.runFork(Effect.zip(Fiber.join(self), Fiber.join(that)))

export const neverFiber: Fiber.Fiber<never> = Effect.runFork(Effect.never)

export const noRoots: Effect.Effect<ReadonlyArray<Fiber.Fiber<unknown, unknown>>> = Effect.succeed([])

export const defaultScheduler: Scheduler.Scheduler & Scheduler.SchedulerDispatcher = (() => {
  const scheduler = new Scheduler.MixedScheduler()
  const dispatcher = scheduler.makeDispatcher()
  return Object.assign(scheduler, {
    scheduleTask: (task: () => void, priority: number) => dispatcher.scheduleTask(task, priority),
    flush: () => dispatcher.flush()
  })
})()

/** A scheduler whose tasks are run by `schedule`. */
export const makeScheduler = (
  schedule: (task: () => void, priority: number) => void,
  shouldYield: (fiber: Fiber.Fiber<unknown, unknown>) => number | boolean = (fiber) =>
    defaultScheduler.shouldYield(fiber)
): Scheduler.Scheduler => ({
  executionMode: "async",
  shouldYield: (fiber) => shouldYield(fiber) !== false,
  makeDispatcher: () => ({ scheduleTask: schedule, flush: () => {} })
})

export const makeClock = (): Clock.Clock => Clock.Clock.defaultValue()

// Schemas

export const jsonSchemaOf = documentOf

export const UUID = Schema.String.check(Schema.isUUID())

export const ULID = Schema.String.check(Schema.isULID())

export const Uppercased = Schema.String.check(Schema.isUppercased())

export const Negative = Schema.Number.check(Schema.isLessThan(0))

export const NonPositive = Schema.Number.check(Schema.isLessThanOrEqualTo(0))

export const BooleanFromString = Schema.Literals(["true", "false"]).pipe(
  Schema.decodeTo(
    Schema.Boolean,
    SchemaTransformation.transform({ decode: (text) => text === "true", encode: (value) => (value ? "true" : "false") })
  )
)

// Logs

const labels = {
  Info: "INFO",
  Warn: "WARN",
  Error: "ERROR",
  Debug: "DEBUG",
  Trace: "TRACE",
  Fatal: "FATAL",
  None: "OFF",
  All: "ALL"
}

export const labelOf = (level: LogLevel.LogLevel): string => labels[level]

interface LogOptions<Message> extends Logger.Options<Message> {
  readonly annotations: HashMap.HashMap<string, unknown>
}

/** A logger that gets the annotations of a line as Effect 3 hands them over. */
export const makeLogger = <Message, Output>(
  log: (options: LogOptions<Message>) => Output
): Logger.Logger<Message, Output> =>
  Logger.make((options) =>
    log({
      ...options,
      annotations: HashMap.fromIterable(Object.entries(options.fiber.getRef(References.CurrentLogAnnotations)))
    })
  )

export const replaceLogger = (_: unknown, logger: Logger.Logger<unknown, unknown>): Layer.Layer<never> =>
  Logger.layer([logger])

export const addLogger = (logger: Logger.Logger<unknown, unknown>): Layer.Layer<never> =>
  Logger.layer([logger], { mergeWithExisting: true })

export const removeLogger = (_: unknown): Layer.Layer<never> => Logger.layer([])

export const minimumLogLevel = (level: LogLevel.LogLevel): Layer.Layer<never> =>
  Layer.succeed(References.MinimumLogLevel, level)

export const configProviderFromMap = (map: ReadonlyMap<string, string>): ConfigProvider.ConfigProvider =>
  ConfigProvider.fromEnvRecord(Object.fromEntries(map))

// Metrics

export const histogram = (
  name: string,
  boundaries: ReadonlyArray<number>,
  description?: string
): Metric.Histogram<number> => Metric.histogram(name, { boundaries, description })

export const summary = ({
  name,
  ...options
}: {
  readonly name: string
  readonly maxAge: Duration.Input
  readonly maxSize: number
  readonly error: number
  readonly quantiles: ReadonlyArray<number>
}): Metric.Summary<number> => Metric.summary(name, options)

export const taggedWithLabels = <Input, State>(
  metric: Metric.Metric<Input, State>,
  labels: Iterable<MetricLabel>
): Metric.Metric<Input, State> =>
  Metric.withAttributes(metric, Object.fromEntries(Array.from(labels, ({ key, value }) => [key, value])))

// The platform

export class SystemError extends PlatformError.PlatformError {
  constructor(fields: {
    readonly reason: PlatformError.SystemErrorTag
    readonly module: string
    readonly method: string
    readonly description?: string
    readonly pathOrDescriptor?: string | number
    readonly cause?: unknown
  }) {
    const { reason, ...rest } = fields
    super(new PlatformError.SystemError({ _tag: reason, ...rest }))
  }
}

export class RequestError extends HttpClientError.HttpClientError {
  constructor(fields: {
    readonly request: HttpClientRequest.HttpClientRequest
    readonly reason: "Transport"
    readonly cause?: unknown
  }) {
    const { reason: _, ...rest } = fields
    super({ reason: new HttpClientError.TransportError(rest) })
  }
}

/** The handler of an app that needs what a server provides alone. */
export const toWebHandler =
  (context: Context.Context<never>) =>
  (app: HttpApp<never, Scope.Scope>): ((request: Request) => Promise<Response>) =>
    HttpEffect.toWebHandlerWith<never, HttpServerRequest.HttpServerRequest | Scope.Scope>(context)(app)

export const withTracerPropagation: {
  (enabled: boolean): <E, R>(client: HttpClient.HttpClient.With<E, R>) => HttpClient.HttpClient.With<E, R>
  <E, R>(client: HttpClient.HttpClient.With<E, R>, enabled: boolean): HttpClient.HttpClient.With<E, R>
} = dual(2, <E, R>(client: HttpClient.HttpClient.With<E, R>, enabled: boolean) =>
  HttpClient.transformResponse(client, Effect.provideService(HttpClient.TracerPropagationEnabled, enabled))
)

type Routed = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  never,
  HttpServerRequest.HttpServerRequest | Scope.Scope
>

type TestRouter = Router & Pipeable.Pipeable

const pipeable = (router: Router): TestRouter =>
  Object.assign([...router], {
    pipe(this: TestRouter) {
      return Pipeable.pipeArguments(this, arguments)
    }
  })

export const emptyRouter: TestRouter = pipeable([])

const routing =
  (method: "GET" | "POST" | "*") =>
  (path: HttpRouter.PathInput, app: HttpServerResponse.HttpServerResponse | Routed) =>
  (router: Router): TestRouter =>
    pipeable([
      ...router,
      ...make([{ method, path, app: ServerResponse.isHttpServerResponse(app) ? Effect.succeed(app) : app }])
    ])

export const getRoute = routing("GET")

export const postRoute = routing("POST")

export const allRoutes = routing("*")

export const layerFileSystem = KeyValueStore.layerFileSystem

export const layerRedis = ({ port }: { readonly port: number }) =>
  Layer.provide(Persistence.layerBackingRedis, NodeRedis.layer({ url: `redis://127.0.0.1:${port}` }))

export const mapLayer: {
  <A, B>(
    change: (context: Context.Context<A>) => Context.Context<B>
  ): <E, R>(layer: Layer.Layer<A, E, R>) => Layer.Layer<B, E, R>
  <A, E, R, B>(
    layer: Layer.Layer<A, E, R>,
    change: (context: Context.Context<A>) => Context.Context<B>
  ): Layer.Layer<B, E, R>
} = dual(
  2,
  <A, E, R, B>(
    layer: Layer.Layer<A, E, R>,
    change: (context: Context.Context<A>) => Context.Context<B>
  ): Layer.Layer<B, E, Exclude<R, Scope.Scope>> => Layer.effectContext(Effect.map(Layer.build(layer), change))
)
