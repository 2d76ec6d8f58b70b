# effect-llm as a container: `docker build -t effect-llm .`
#
#   docker run -p 127.0.0.1:8080:8080 -v ./provider.json:/etc/effect-llm/provider.json:ro \
#     -e EFFECT_LLM_MASTER_KEY -e OPENAI_API_KEY effect-llm
#
# Any other command: `docker run effect-llm models --help`.

FROM node:22-alpine AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm install --ignore-scripts --no-fund --no-audit
COPY . .
RUN npm run build

FROM node:22-alpine
# The command line is bundled with its dependencies; the prices of models are a separate package.
WORKDIR /opt/effect-llm
COPY --from=build /build/package.json /build/LICENSE ./
COPY --from=build /build/dist/cli ./dist/cli
COPY --from=build /build/dist/gateway/dashboard/page ./dist/gateway/dashboard/page
ENV NODE_ENV=production \
    EFFECT_LLM_CONFIG=/etc/effect-llm/provider.json \
    EFFECT_LLM_HOST=0.0.0.0 \
    EFFECT_LLM_PORT=8080 \
    EFFECT_LLM_LOG_FORMAT=json
USER node
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.EFFECT_LLM_PORT}/health`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/opt/effect-llm/dist/cli/effect-llm.js"]
CMD ["serve"]
