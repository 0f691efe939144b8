# Parley with its packages and the bundled model, for x86-64 and arm64: `docker build -t parley .`
#
# 280 MB of packages on top of Deno's image: native libraries of the ONNX runtime, of image codecs that the model's library
# loads, and of the index, the stores' drivers, and the rest. It runs as the user `deno`, and the root file system may be
# read-only. The volume holds the embedded stores, artifacts and exports.
#
#     docker run -e PARLEY_API_KEYS=read+write+admin:… -p 127.0.0.1:8000:8000 -v parley:/app/.parley parley
#
# starts everything in one process. `parley serve` is the API alone, `parley schedule` the scheduler, `parley pipeline` a
# run; settings come from the environment.

FROM denoland/deno:2.9.6 AS build
WORKDIR /app
ENV DENO_DIR=/deno-dir
COPY deno.json deno.lock deps.ts edge.ts main.ts ./
COPY clients/example_shop/deno.json clients/example_shop/
COPY commands commands
COPY lib lib
COPY models models
COPY routes routes
COPY sample sample
COPY tasks tasks
# The packages of deno.lock, and the program as JavaScript: the first start downloads and compiles nothing.
RUN deno ci --quiet && deno cache --quiet --frozen main.ts lib/embed/onnx/worker.ts
# Source maps, binaries for other machines, the browser's ONNX runtime and the tests' browser driver are never loaded.
RUN machine=$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/') && cd "$DENO_DIR/npm" && \
  find . -type f \( -name '*.map' -o -path '*/onnxruntime-web/*/dist/*' -o -path '*/playwright-core/*/lib/*' \) -delete && \
  find . -type d -path '*/onnxruntime-node/*/bin/napi-v*/*/*' ! -path "*/linux/$machine" -prune -exec rm -r {} +
RUN mkdir .parley && chown 1993:1993 .parley

FROM denoland/deno:2.9.6
WORKDIR /app
ENV DENO_DIR=/deno-dir PARLEY_HOST=0.0.0.0
COPY --from=build /app /app
COPY --from=build /deno-dir /deno-dir
# The user `deno` of the image.
USER 1993:1993
VOLUME /app/.parley
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --start-period=60s \
  CMD ["deno", "eval", "if (!(await fetch(`http://127.0.0.1:${Deno.env.get('PARLEY_PORT') || 8000}/healthz`)).ok) Deno.exit(1)"]
ENTRYPOINT ["deno", "task", "--quiet"]
CMD ["start"]
