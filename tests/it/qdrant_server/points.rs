//! The RPCs on points.

use ::qdrant_client::qdrant::points_server::Points;
use ::qdrant_client::qdrant::points_update_operation::Operation;
use ::qdrant_client::qdrant::*;
use qdrant_edge::{
    CountRequest, CreateIndex, FacetRequest, FieldIndexOperations, PayloadFieldSchema, PayloadOps, PayloadSchemaType,
    PointInsertOperations, PointOperations, ScrollRequest, SetPayloadOp, UpdateOperation, WithPayloadInterface, WithVector,
};
use std::pin::Pin;
use tonic::{Request, Response, Status};

use super::{Collection, Server, convert};

fn done() -> Response<PointsOperationResponse> {
    let result = UpdateResult { operation_id: None, status: UpdateStatus::Completed.into() };
    Response::new(PointsOperationResponse { result: Some(result), ..PointsOperationResponse::default() })
}

/// What the tests insist on: every write waits.
fn waits(wait: Option<bool>) -> Result<(), Status> {
    if wait == Some(true) { Ok(()) } else { Err(Status::invalid_argument("this test server wants wait=true")) }
}

fn overwrite(collection: &Collection, overwrite: points_update_operation::OverwritePayload) -> Result<(), Status> {
    let (points, filter) = convert::selector(overwrite.points_selector)?;
    let payload = convert::payload(overwrite.payload)?;
    let operation = SetPayloadOp { payload, points, filter, key: None };
    let update = UpdateOperation::PayloadOperation(PayloadOps::OverwritePayload(operation));
    collection.shard.update(update).map_err(convert::failed)
}

#[tonic::async_trait]
impl Points for Server {
    async fn upsert(&self, request: Request<UpsertPoints>) -> Result<Response<PointsOperationResponse>, Status> {
        let request = self.enter(request).await?;
        waits(request.wait)?;
        self.on(&request.collection_name, |collection| {
            let points = request.points.into_iter().map(convert::point).collect::<Result<_, _>>()?;
            let operation = PointOperations::UpsertPoints(PointInsertOperations::PointsList(points));
            collection.shard.update(UpdateOperation::PointOperation(operation)).map_err(convert::failed)
        })
        .await?;
        Ok(done())
    }

    async fn delete(&self, request: Request<DeletePoints>) -> Result<Response<PointsOperationResponse>, Status> {
        let request = self.enter(request).await?;
        waits(request.wait)?;
        self.on(&request.collection_name, |collection| {
            let operation = match convert::selector(request.points)? {
                (Some(ids), _) => PointOperations::DeletePoints { ids },
                (None, Some(filter)) => PointOperations::DeletePointsByFilter(filter),
                (None, None) => return Err(Status::invalid_argument("no points selected")),
            };
            collection.shard.update(UpdateOperation::PointOperation(operation)).map_err(convert::failed)
        })
        .await?;
        Ok(done())
    }

    async fn update_batch(&self, request: Request<UpdateBatchPoints>) -> Result<Response<UpdateBatchResponse>, Status> {
        let request = self.enter(request).await?;
        waits(request.wait)?;
        self.on(&request.collection_name, |collection| {
            for operation in request.operations {
                match operation.operation {
                    Some(Operation::OverwritePayload(operation)) => overwrite(collection, operation)?,
                    _ => return Err(Status::unimplemented("only payloads are overwritten in batches here")),
                }
            }
            Ok(())
        })
        .await?;
        Ok(Response::new(UpdateBatchResponse::default()))
    }

    async fn create_field_index(
        &self,
        request: Request<CreateFieldIndexCollection>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let request = self.enter(request).await?;
        waits(request.wait)?;
        let kind = match request.field_type() {
            FieldType::Keyword => PayloadSchemaType::Keyword,
            FieldType::Integer => PayloadSchemaType::Integer,
            _ => return Err(Status::unimplemented("only keywords and integers are indexed here")),
        };
        let name = request.collection_name.clone();
        self.on(&name, move |collection| {
            let index = CreateIndex {
                field_name: convert::path(&request.field_name)?,
                field_schema: Some(PayloadFieldSchema::FieldType(kind)),
            };
            let update = UpdateOperation::FieldIndexOperation(FieldIndexOperations::CreateIndex(index));
            collection.shard.update(update).map_err(convert::failed)?;
            collection.indexed.lock().unwrap().push(request.field_name);
            Ok(())
        })
        .await?;
        Ok(done())
    }

    async fn scroll(&self, request: Request<ScrollPoints>) -> Result<Response<ScrollResponse>, Status> {
        let request = self.enter(request).await?;
        let limit = request.limit.unwrap_or(10) as usize;
        let response = self.on(&request.collection_name, move |collection| {
            let (records, next) = collection
                .shard
                .scroll(ScrollRequest {
                    offset: request.offset.map(convert::id).transpose()?,
                    limit: Some(limit),
                    filter: None,
                    with_payload: Some(WithPayloadInterface::Bool(true)),
                    with_vector: WithVector::Bool(false),
                    order_by: None,
                })
                .map_err(convert::failed)?;
            let result = records.into_iter().map(|record| RetrievedPoint {
                id: Some(convert::to_id(record.id)),
                payload: convert::to_payload(record.payload),
                ..RetrievedPoint::default()
            });
            let next_page_offset = next.map(convert::to_id);
            Ok(ScrollResponse { next_page_offset, result: result.collect(), ..ScrollResponse::default() })
        });
        Ok(Response::new(response.await?))
    }

    async fn count(&self, request: Request<CountPoints>) -> Result<Response<CountResponse>, Status> {
        let request = self.enter(request).await?;
        let count = self.on(&request.collection_name, |collection| {
            collection.shard.count(CountRequest { filter: None, exact: true }).map_err(convert::failed)
        });
        let result = Some(CountResult { count: count.await? as u64 });
        Ok(Response::new(CountResponse { result, ..CountResponse::default() }))
    }

    async fn facet(&self, request: Request<FacetCounts>) -> Result<Response<FacetResponse>, Status> {
        let request = self.enter(request).await?;
        let name = request.collection_name.clone();
        let hits = self.on(&name, move |collection| {
            let facet = FacetRequest {
                key: convert::path(&request.key)?,
                limit: request.limit.unwrap_or(10) as usize,
                filter: request.filter.map(convert::filter).transpose()?,
                exact: request.exact.unwrap_or(false),
            };
            let found = collection.shard.facet(facet).map_err(convert::failed)?;
            let hits = found.hits.into_iter().map(|hit| match hit.value {
                qdrant_edge::FacetValue::Keyword(keyword) => FacetHit {
                    value: Some(FacetValue { variant: Some(facet_value::Variant::StringValue(keyword)) }),
                    count: hit.count as u64,
                },
                other => panic!("only keywords are counted here: {other:?}"),
            });
            Ok(hits.collect())
        });
        Ok(Response::new(FacetResponse { hits: hits.await?, ..FacetResponse::default() }))
    }

    async fn query(&self, request: Request<QueryPoints>) -> Result<Response<QueryResponse>, Status> {
        let request = self.enter(request).await?;
        let name = request.collection_name.clone();
        let result = self.on(&name, |collection| {
            let found = collection.shard.query(convert::query(request)?).map_err(convert::failed)?;
            Ok(found
                .into_iter()
                .map(|point| ScoredPoint {
                    id: Some(convert::to_id(point.id)),
                    payload: convert::to_payload(point.payload),
                    score: point.score,
                    ..ScoredPoint::default()
                })
                .collect())
        });
        Ok(Response::new(QueryResponse { result: result.await?, ..QueryResponse::default() }))
    }

    super::not_here! {
        get(GetPoints) -> GetResponse;
        update_vectors(UpdatePointVectors) -> PointsOperationResponse;
        delete_vectors(DeletePointVectors) -> PointsOperationResponse;
        set_payload(SetPayloadPoints) -> PointsOperationResponse;
        overwrite_payload(SetPayloadPoints) -> PointsOperationResponse;
        delete_payload(DeletePayloadPoints) -> PointsOperationResponse;
        clear_payload(ClearPayloadPoints) -> PointsOperationResponse;
        delete_field_index(DeleteFieldIndexCollection) -> PointsOperationResponse;
        create_vector_name(CreateVectorNameRequest) -> PointsOperationResponse;
        delete_vector_name(DeleteVectorNameRequest) -> PointsOperationResponse;
        search(SearchPoints) -> SearchResponse;
        search_batch(SearchBatchPoints) -> SearchBatchResponse;
        search_groups(SearchPointGroups) -> SearchGroupsResponse;
        recommend(RecommendPoints) -> RecommendResponse;
        recommend_batch(RecommendBatchPoints) -> RecommendBatchResponse;
        recommend_groups(RecommendPointGroups) -> RecommendGroupsResponse;
        discover(DiscoverPoints) -> DiscoverResponse;
        discover_batch(DiscoverBatchPoints) -> DiscoverBatchResponse;
        query_batch(QueryBatchPoints) -> QueryBatchResponse;
        query_groups(QueryPointGroups) -> QueryGroupsResponse;
        search_matrix_pairs(SearchMatrixPoints) -> SearchMatrixPairsResponse;
        search_matrix_offsets(SearchMatrixPoints) -> SearchMatrixOffsetsResponse;
    }
}
