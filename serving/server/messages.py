"""The messages that the server's front reads itself: configuration files, addresses of requests, reloads, health.

Declared here because the API wheel lacks monitoring_config, ssl_config and BatchingParameters, and because its other
modules import all of TensorFlow, which only the processes that hold a model need. Numbers and names are TensorFlow
Serving's and gRPC's.
"""

from serving.messages import declare

_CONFIG = declare(
    "tfrec.serving.config",
    {
        "Any": {"type_url": "string = 1", "value": "bytes = 2"},
        "Int64Value": {"value": "int64 = 1"},
        "StringValue": {"value": "string = 1"},
        "BoolValue": {"value": "bool = 1"},
        # model_server_config.proto, file_system_storage_path_source.proto, logging_config.proto
        "Latest": {"num_versions": "uint32 = 1"},
        "All": {},
        "Specific": {"versions": "*int64 = 1"},
        "ServableVersionPolicy": {"latest": "Latest = 100", "all": "All = 101", "specific": "Specific = 102"},
        "LogCollectorConfig": {"type": "string = 1", "filename_prefix": "string = 2"},
        "SamplingConfig": {"sampling_rate": "double = 1"},
        "LoggingConfig": {"log_collector_config": "LogCollectorConfig = 1", "sampling_config": "SamplingConfig = 2"},
        "ModelConfig": {
            "name": "string = 1",
            "base_path": "string = 2",
            "model_type": "ModelType = 3",
            "model_platform": "string = 4",
            "logging_config": "LoggingConfig = 6",
            "model_version_policy": "ServableVersionPolicy = 7",
            "version_labels": "{int64} = 8",
        },
        "ModelConfigList": {"config": "*ModelConfig = 1"},
        "ModelServerConfig": {"model_config_list": "ModelConfigList = 1", "custom_model_config": "Any = 2"},
        # session_bundle_config.proto
        "BatchingParameters": {
            "max_batch_size": "Int64Value = 1",
            "batch_timeout_micros": "Int64Value = 2",
            "max_enqueued_batches": "Int64Value = 3",
            "num_batch_threads": "Int64Value = 4",
            "thread_pool_name": "StringValue = 5",
            "allowed_batch_sizes": "*int64 = 6",
            "pad_variable_length_inputs": "bool = 7",
            "max_execution_batch_size": "Int64Value = 8",
            "enable_large_batch_splitting": "BoolValue = 9",
        },
        # monitoring_config.proto
        "PrometheusConfig": {"enable": "bool = 1", "path": "string = 2"},
        "MonitoringConfig": {"prometheus_config": "PrometheusConfig = 1"},
        # ssl_config.proto
        "SSLConfig": {
            "server_key": "string = 1",
            "server_cert": "string = 2",
            "custom_ca": "string = 3",
            "client_verify": "bool = 4",
        },
        # model_management.proto
        "ReloadConfigRequest": {"config": "ModelServerConfig = 1", "metric_names": "*string = 2"},
        "StatusProto": {"error_code": "int32 = 1", "error_message": "string = 2"},
        "ReloadConfigResponse": {"status": "StatusProto = 1"},
        # grpc.health.v1
        "HealthCheckRequest": {"service": "string = 1"},
        "HealthCheckResponse": {"status": "int32 = 1"},
    },
    oneofs={
        "ServableVersionPolicy": {"policy_choice": ("latest", "all", "specific")},
        "ModelServerConfig": {"config": ("model_config_list", "custom_model_config")},
    },
    enums={"ModelType": {"MODEL_TYPE_UNSPECIFIED": 0, "TENSORFLOW": 1, "OTHER": 2}},
)
# Of a request only the address is read: the rest stays bytes that are passed on to the process of the model.
_ADDRESS = declare(
    "tfrec.serving.address",
    {
        "Int64Value": {"value": "int64 = 1"},
        "ModelSpec": {
            "name": "string = 1",
            "version": "Int64Value = 2",
            "signature_name": "string = 3",
            "version_label": "string = 4",
        },
        "Addressed": {"model_spec": "ModelSpec = 1"},
        "InferenceTask": {"model_spec": "ModelSpec = 1", "method_name": "string = 2"},
        "AddressedTasks": {"tasks": "*InferenceTask = 1"},
    },
    oneofs={"ModelSpec": {"version_choice": ("version", "version_label")}},
)

ModelServerConfig = _CONFIG["ModelServerConfig"]
BatchingParameters = _CONFIG["BatchingParameters"]
MonitoringConfig = _CONFIG["MonitoringConfig"]
SSLConfig = _CONFIG["SSLConfig"]
ReloadConfigRequest = _CONFIG["ReloadConfigRequest"]
ReloadConfigResponse = _CONFIG["ReloadConfigResponse"]
HealthCheckRequest = _CONFIG["HealthCheckRequest"]
HealthCheckResponse = _CONFIG["HealthCheckResponse"]
ModelSpec = _ADDRESS["ModelSpec"]
Addressed = _ADDRESS["Addressed"]
AddressedTasks = _ADDRESS["AddressedTasks"]
