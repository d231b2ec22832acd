#!/bin/sh
# The MLflow server of the containers: users have passwords, and artifacts pass through it, so clients need no S3 key.
# Reads MLFLOW_BACKEND_STORE_URI (also where users are kept), MLFLOW_ARTIFACTS_DESTINATION, MLFLOW_AUTH_ADMIN_USERNAME,
# MLFLOW_AUTH_ADMIN_PASSWORD, MLFLOW_FLASK_SERVER_SECRET_KEY, MLFLOW_SERVER_ALLOWED_HOSTS, and AWS_* for the artifacts.
# Arguments are passed on to `mlflow server`.
set -eu
umask 077
# These two settings cannot be given as environment variables.
MLFLOW_AUTH_CONFIG_PATH="$(mktemp)"
export MLFLOW_AUTH_CONFIG_PATH
cat > "$MLFLOW_AUTH_CONFIG_PATH" <<INI
[mlflow]
default_permission = READ
database_uri = ${MLFLOW_BACKEND_STORE_URI:?}
INI
exec mlflow server --app-name basic-auth --serve-artifacts --host 0.0.0.0 --port 5000 --workers 2 "$@"
