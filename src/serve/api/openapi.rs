//! `GET /openapi.json`: the API in `OpenAPI` 3.1, made of the types that are read and written.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{ask, ingest, lately, login, map, search, why};
use crate::answer::document::Document;
use crate::answer::wire;
use crate::ingest::report::IngestSummary;
use crate::ingest::wire as ingest_wire;
use crate::runtime::{Status, Why};
use crate::serve::job::JobView;
use crate::serve::map::Map as CorpusMap;
use crate::serve::rendering::Piece;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| described().to_string());

pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

/// Writes schemas of types, each once.
struct Schemas(SchemaGenerator);

impl Schemas {
    fn of<T: JsonSchema>(&mut self) -> Value {
        self.0.subschema_for::<T>().to_value()
    }

    /// An object with these properties, all of them there.
    fn object(kind: &str, properties: &Value) -> Value {
        let required: Vec<&String> = properties.as_object().map(|properties| properties.keys().collect()).unwrap_or_default();
        let mut schema = json!({"type": "object", "properties": properties, "required": required});
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("type".to_owned(), json!({"const": kind}));
        }
        schema
    }
}

fn body(schema: &Value) -> Value {
    json!({"required": true, "content": {"application/json": {"schema": schema}}})
}

fn answer(description: &str, schema: &Value) -> Value {
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

/// Lines of this schema, as events or one a line.
fn lines(description: &str, schema: &Value) -> Value {
    let data = json!({"type": "string", "contentMediaType": "application/json", "contentSchema": schema});
    let event = json!({"type": "object", "properties": {"event": {"type": "string"}, "data": data}});
    let content = json!({"text/event-stream": {"schema": event}, "application/x-ndjson": {"schema": {"type": "string"}}});
    json!({"description": description, "content": content})
}

/// A path's methods, each of which may fail with a line that says why.
fn operation(id: &str, summary: &str, parts: Value, fault: &Value) -> Value {
    let mut operation = json!({"operationId": id, "summary": summary});
    if let (Some(operation), Value::Object(parts)) = (operation.as_object_mut(), parts) {
        operation.extend(parts);
    }
    if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
        responses.insert("default".to_owned(), answer("Why there is no answer", fault));
    }
    operation
}

fn parameter(name: &str, place: &str, description: &str) -> Value {
    json!({"name": name, "in": place, "required": place == "path", "description": description, "schema": {"type": "string"}})
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    })
}

fn described() -> Value {
    let mut schemas = Schemas(settings().for_serialize().into_generator());
    let fault = Schemas::object("error", &json!({"message": {"type": "string"}, "kind": {"type": "string"}}));
    let line = json!({"anyOf": [schemas.of::<wire::Line<'_>>(), schemas.of::<Piece>()]});
    let told = schemas.of::<ingest_wire::Line<'_>>();
    let summary = schemas.of::<IngestSummary>();
    let job = schemas.of::<JobView>();
    let status = schemas.of::<Status>();
    let document = schemas.of::<Document>();
    let hits = schemas.of::<search::Hits<'_>>();
    let told_why = schemas.of::<Why>();
    let (history, measured, mapped) =
        (schemas.of::<lately::Told>(), schemas.of::<lately::Measurements>(), schemas.of::<CorpusMap>());
    let placed = Schemas::object(
        "hits",
        &json!({"pipeline": {"type": "string"}, "hits": {"type": "array", "items": {"type": "object"}}}),
    );
    let mut asked = Schemas(settings().into_generator());
    let (ask, search) = (asked.of::<ask::Ask>(), asked.of::<search::Search>());
    let (look, why) = (asked.of::<map::Look>(), asked.of::<why::Asked>());
    let (ingest, login) = (asked.of::<ingest::Ingest>(), asked.of::<login::Login>());

    let jobs = Schemas::object(
        "jobs",
        &json!({
            "seconds": {"type": "number", "description": "Since the service began"},
            "jobs": {"type": "array", "items": job},
            "providers": {"type": "array", "items": {"type": "object"}, "description": "What each allows, and how much of it is used"},
        }),
    );
    let service = Schemas::object(
        "service",
        &json!({
            "version": {"type": "string"}, "seconds": {"type": "number"}, "free": {"type": "object"},
            "pipelines": {"type": "array", "items": {"anyOf": [status, {"type": "object"}]}}, "jobs": {"type": "array", "items": job},
        }),
    );
    let whole = Schemas::object("answer", &json!({"answer": {"type": "string"}, "sources": {"type": "array"}}));
    let mut written = lines("The answer as it is written", &line);
    let resumed = lines("The answer from its beginning, as it is written", &line);
    if let Some(content) = written.get_mut("content").and_then(Value::as_object_mut) {
        content.insert("application/json".to_owned(), json!({"schema": whole}));
    }
    let said = json!({"anyOf": [told, summary, fault]});
    let mut followed = lines("What it tells, from its beginning to its end", &said);
    let said = Schemas::object("lines", &json!({"next": {"type": "integer"}, "lines": {"type": "array", "items": said}}));
    if let Some(content) = followed.get_mut("content").and_then(Value::as_object_mut) {
        content.insert("application/json".to_owned(), json!({"schema": job}));
    }
    let accepted = json!({"202": answer("It is under way, or waits for its turn", &job)});
    let several = Schemas::object("jobs", &json!({"jobs": {"type": "array", "items": job}}));
    let begun = json!({"202": answer("It is under way, or waits for its turn; several pipelines have a job each", &json!({"anyOf": [job, several]}))});
    let (id, pipeline) = (
        parameter("id", "path", "Its id"),
        parameter(
            "pipeline",
            "query",
            "Which pipeline; where none is named, of documents the first that has it, else the first of all",
        ),
    );
    let back = json!({"name": "seconds", "in": "query", "required": false, "description": "How far back, at most four hours; 600 where it is not said", "schema": {"type": "integer", "minimum": 0}});
    let ended = json!({"name": "ended", "in": "query", "required": false, "description": "Of those that have ended, only the last so many", "schema": {"type": "integer", "minimum": 0}});
    let from = json!({"name": "from", "in": "query", "required": false, "description": "The number of the first line, such as `next` of an earlier answer", "schema": {"type": "integer", "minimum": 0}});
    let found = json!({"200": answer("Its text as the index has it", &document)});
    let paths = json!({
        "/api/ask": {"post": operation("ask", "Answer a question", json!({"requestBody": body(&ask), "responses": {"200": written}}), &fault)},
        "/api/ask/{id}": {
            "get": operation("resume", "Go on with an answer that was asked for with an id, from its beginning", json!({"parameters": [id], "responses": {"200": resumed}}), &fault),
            "delete": operation("stop", "Have an answer that was asked for with an id end at once", json!({"parameters": [id], "responses": {"204": {"description": "It ends"}}}), &fault),
        },
        "/api/search": {"post": operation("search", "Find passages", json!({"requestBody": body(&search), "responses": {"200": answer("Passages, best first", &hits)}}), &fault)},
        "/api/why": {"post": operation("why", "Why a document is, or is not, among the sources", json!({"requestBody": body(&why), "responses": {"200": answer("The cause, and where the document stands", &told_why)}}), &fault)},
        "/api/ingest": {
            "post": operation("ingest", "Bring an index up to date with its sources", json!({"requestBody": body(&ingest), "responses": begun}), &fault),
            "get": operation("ingests", "The ingests that are remembered", json!({"parameters": [ended], "responses": {"200": answer("All of them, the oldest first", &jobs)}}), &fault),
        },
        "/api/ingest/{id}": {
            "get": operation("follow", "Follow an ingest", json!({"parameters": [id], "responses": {"200": followed}}), &fault),
            "delete": operation("cancel", "Have an ingest finish what is in flight and end", json!({"parameters": [id], "responses": accepted}), &fault),
        },
        "/api/ingest/{id}/lines": {"get": operation("lines", "What an ingest has told so far besides its progress: failed documents, notices, and its end", json!({"parameters": [id, from], "responses": {"200": answer("Those that are kept", &said)}}), &fault)},
        "/api/history": {"get": operation("history", "What the service did lately", json!({"parameters": [back], "responses": {"200": answer("Rates and levels, in columns", &history)}}), &fault)},
        "/api/eval": {"get": operation("measured", "What `eval` has measured", json!({"responses": {"200": answer("Measurements, the newest first", &measured)}}), &fault)},
        "/api/map": {
            "get": operation("map", "A map of an index: a sample of its chunks by their vectors", json!({"parameters": [pipeline], "responses": {"200": answer("Points of a plane", &mapped)}}), &fault),
            "post": operation("look", "Find passages, and where they lie on the map", json!({"requestBody": body(&look), "responses": {"200": answer("Passages, best first, each with its `place`", &placed)}}), &fault),
        },
        "/api/status": {"get": operation("status", "What the indexes hold, and what goes on", json!({"responses": {"200": answer("The service", &service)}}), &fault)},
        "/api/documents": {"get": operation("documentOfUri", "A document by its uri", json!({"parameters": [{"name": "uri", "in": "query", "required": true, "schema": {"type": "string"}}, pipeline], "responses": found}), &fault)},
        "/api/documents/{id}": {"get": operation("document", "A document by its id", json!({"parameters": [id, pipeline], "responses": found}), &fault)},
        "/login": {"post": operation("login", "A cookie for a token", json!({"requestBody": body(&login), "responses": {"204": {"description": "The cookie is set"}}}), &fault)},
    });
    let mut components: Map<String, Value> = schemas.0.take_definitions(true);
    components.extend(asked.0.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {"title": "ragstream", "version": env!("CARGO_PKG_VERSION"), "description": "Ask and search documents, and keep their index up to date."},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    /// Every `$ref` leads somewhere.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = described();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 10, "{found:?}");
        for reference in found {
            assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
        }
    }
}
