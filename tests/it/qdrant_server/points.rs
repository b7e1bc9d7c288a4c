//! The RPCs on points.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::atomic::Ordering;

use ::qdrant_client::qdrant::points_server::Points;
use ::qdrant_client::qdrant::points_update_operation::Operation;
use ::qdrant_client::qdrant::*;
use tonic::{Request, Response, Status};

use super::collections::Collection;
use super::convert::{self, Shown, odd, without};
use super::filter::filter;
use super::model::{self, Kind, Selected};
use super::strict::Use;
use super::{Server, take_one};

impl Server {
    /// What the tests insist on: every write waits and is ordered, but for those of vectors that are kept as they are: nobody
    /// searches among them. Whether it is carried out by the time of the answer.
    fn writes(&self, name: &str, wait: Option<bool>, ordering: Option<WriteOrdering>) -> Result<bool, Status> {
        if self.0.collection(name).is_ok_and(|collection| !collection.read().unwrap().points.raw.is_empty()) {
            return Ok(true);
        }
        waits(wait)?;
        match ordering.map(|ordering| ordering.r#type()) {
            None | Some(WriteOrderingType::Weak) => Err(Status::invalid_argument("this test server wants ordered writes")),
            Some(WriteOrderingType::Strong) if self.0.faults.leader_away.load(Ordering::SeqCst) => {
                // In a real one's words (1.19).
                let away = "Service internal error: Failed to apply update with Strong ordering via leader peer 8317: Tonic \
                            status error: status: 'The service is currently unavailable'";
                Err(Status::internal(away))
            }
            Some(_) => Ok(!take_one(&self.0.faults.late)),
        }
    }

    /// Reads of one copy, of more than half of three, or of all.
    fn reads(&self, consistency: Option<ReadConsistency>) -> Result<(), Status> {
        let faults = &self.0.faults;
        let Some(read_consistency::Value::Type(kind)) = consistency.and_then(|consistency| consistency.value) else {
            return without(consistency.and_then(|consistency| consistency.value), "a number of copies to read");
        };
        let away = if kind == i32::from(ReadConsistencyType::Quorum) {
            faults.quorums.fetch_add(1, Ordering::SeqCst);
            &faults.half_away
        } else {
            &faults.copy_away
        };
        let missing = "Service internal error: The replica set for shard 0 on peer 8317 does not have enough active replicas";
        if away.load(Ordering::SeqCst) { Err(Status::internal(missing)) } else { Ok(()) }
    }
}

fn answered(carried_out: bool) -> Response<PointsOperationResponse> {
    let status = if carried_out { UpdateStatus::Completed } else { UpdateStatus::WaitTimeout };
    let result = Some(UpdateResult { operation_id: None, status: status.into() });
    Response::new(PointsOperationResponse { result, ..PointsOperationResponse::default() })
}

fn completed() -> UpdateResult {
    UpdateResult { operation_id: None, status: UpdateStatus::Completed.into() }
}

fn done() -> Response<PointsOperationResponse> {
    Response::new(PointsOperationResponse { result: Some(completed()), ..PointsOperationResponse::default() })
}

/// What the tests insist on: every write waits.
fn waits(wait: Option<bool>) -> Result<(), Status> {
    if wait == Some(true) { Ok(()) } else { Err(Status::invalid_argument("this test server wants wait=true")) }
}

/// Vectors and payload.
fn upsert(collection: &mut Collection, points: Vec<PointStruct>) -> Result<(), Status> {
    let points = points.into_iter().map(convert::point).collect::<Result<Vec<_>, _>>()?;
    collection.strict.check_upsert(points.len(), &collection.points)?;
    Ok(collection.points.upsert(points)?)
}

fn delete(collection: &mut Collection, points: Option<PointsSelector>) -> Result<(), Status> {
    let points = points.ok_or_else(|| Status::invalid_argument("PointSelector is missing"))?;
    let selected = selected(collection, points)?;
    collection.points.delete(selected);
    Ok(())
}

fn overwrite(collection: &mut Collection, overwrite: points_update_operation::OverwritePayload) -> Result<(), Status> {
    let points_update_operation::OverwritePayload { payload, points_selector, shard_key_selector, key } = overwrite;
    without(shard_key_selector, "shard keys")?;
    without(key, "a part of a payload to overwrite")?;
    let points = points_selector.ok_or_else(|| Status::invalid_argument("points_selector is expected"))?;
    let selected = selected(collection, points)?;
    Ok(collection.points.overwrite(selected, &convert::payload(payload)?)?)
}

fn selected(collection: &Collection, points: PointsSelector) -> Result<Selected, Status> {
    let selected = convert::selector(points)?;
    if let Selected::Where(filter) = &selected {
        collection.strict.check_filter(Some(filter), Use::Write, &collection.points)?;
    }
    Ok(selected)
}

/// The filter of a request that reads.
fn reading(collection: &Collection, wanted: Option<Filter>) -> Result<Option<model::Filter>, Status> {
    let wanted = wanted.map(filter).transpose()?;
    collection.strict.check_filter(wanted.as_ref(), Use::Read, &collection.points)?;
    Ok(wanted)
}

#[tonic::async_trait]
impl Points for Server {
    async fn upsert(&self, request: Request<UpsertPoints>) -> Result<Response<PointsOperationResponse>, Status> {
        let UpsertPoints {
            collection_name,
            wait,
            points,
            ordering,
            shard_key_selector,
            update_filter,
            timeout: _,
            update_mode,
        } = self.enter(request).await?;
        let now = self.writes(&collection_name, wait, ordering)?;
        without(shard_key_selector, "shard keys")?;
        without(update_filter, "conditions on what is written")?;
        without(update_mode.filter(|mode| *mode != i32::from(UpdateMode::Upsert)), "this mode of writing")?;
        if now {
            self.write(&collection_name, |collection| upsert(collection, points)).await?;
        }
        Ok(answered(now))
    }

    async fn delete(&self, request: Request<DeletePoints>) -> Result<Response<PointsOperationResponse>, Status> {
        let DeletePoints { collection_name, wait, points, ordering, shard_key_selector, timeout: _ } =
            self.enter(request).await?;
        let now = self.writes(&collection_name, wait, ordering)?;
        without(shard_key_selector, "shard keys")?;
        if now {
            self.write(&collection_name, |collection| delete(collection, points)).await?;
        }
        Ok(answered(now))
    }

    async fn update_batch(&self, request: Request<UpdateBatchPoints>) -> Result<Response<UpdateBatchResponse>, Status> {
        let UpdateBatchPoints { collection_name, wait, operations, ordering, timeout: _ } = self.enter(request).await?;
        let now = self.writes(&collection_name, wait, ordering)?;
        if operations.is_empty() {
            return Err(convert::invalid("operations", "value [] invalid, must be at least 1 characters"));
        }
        if !now {
            let result = operations.iter().filter_map(|_| answered(false).into_inner().result).collect();
            return Ok(Response::new(UpdateBatchResponse { result, ..UpdateBatchResponse::default() }));
        }
        let result = self.write(&collection_name, |collection| {
            // One after the other: those before one that fails stay carried out.
            let carry_out = |operation: PointsUpdateOperation| {
                match operation.operation {
                    Some(Operation::OverwritePayload(operation)) => overwrite(collection, operation)?,
                    Some(Operation::DeletePoints(operation)) => {
                        without(operation.shard_key_selector, "shard keys")?;
                        delete(collection, operation.points)?;
                    }
                    Some(Operation::Upsert(points_update_operation::PointStructList {
                        points,
                        shard_key_selector,
                        update_filter,
                        update_mode,
                    })) => {
                        without(shard_key_selector, "shard keys")?;
                        without(update_filter, "conditions on what is written")?;
                        without(update_mode, "this mode of writing")?;
                        upsert(collection, points)?;
                    }
                    Some(_) => return Err(odd("this operation in a batch")),
                    None => return Err(Status::invalid_argument("Operation is missing")),
                }
                Ok(completed())
            };
            operations.into_iter().map(carry_out).collect()
        });
        Ok(Response::new(UpdateBatchResponse { result: result.await?, ..UpdateBatchResponse::default() }))
    }

    async fn create_field_index(
        &self,
        request: Request<CreateFieldIndexCollection>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let CreateFieldIndexCollection {
            collection_name,
            wait,
            field_name,
            field_type,
            field_index_params,
            ordering,
            timeout: _,
        } = self.enter(request).await?;
        self.writes(&collection_name, wait, ordering)?;
        without(field_index_params, "parameters of indexes")?;
        let kind = match field_type.map(FieldType::try_from) {
            Some(Ok(FieldType::Keyword)) => Kind::Keyword,
            Some(Ok(FieldType::Integer)) => Kind::Integer,
            Some(Ok(_)) => return Err(odd("indexes other than of keywords and integers")),
            _ => return Err(Status::invalid_argument("cannot convert field_type")),
        };
        let path = convert::path(&field_name)?;
        self.write(&collection_name, move |collection| {
            collection.points.indexed.insert(path, kind);
            Ok(())
        })
        .await?;
        Ok(done())
    }

    async fn scroll(&self, request: Request<ScrollPoints>) -> Result<Response<ScrollResponse>, Status> {
        let ScrollPoints {
            collection_name,
            filter,
            offset,
            limit,
            with_payload,
            with_vectors,
            read_consistency,
            shard_key_selector,
            order_by,
            timeout: _,
        } = self.enter(request).await?;
        without(read_consistency, "consistencies of reads")?;
        without(shard_key_selector, "shard keys")?;
        without(order_by, "orders other than by id")?;
        let limit = convert::limit(limit.map(u64::from))?;
        let from = offset.map(convert::id).transpose()?;
        let as_1_16 = self.0.answers_as_1_16.load(Ordering::SeqCst);
        let response = self.read(&collection_name, move |collection| {
            let points = &collection.points;
            let shown = Shown::new(true, with_payload, with_vectors, points)?.of_1_16(as_1_16);
            collection.strict.check_limit(limit)?;
            let wanted = reading(collection, filter)?;
            let (page, next) = points.scroll(from, wanted.as_ref(), limit);
            let result = page.into_iter().map(|(id, point)| RetrievedPoint {
                id: Some(convert::to_id(id)),
                payload: shown.payload(point),
                vectors: shown.vectors(point),
                ..RetrievedPoint::default()
            });
            let next_page_offset = next.map(convert::to_id);
            Ok(ScrollResponse { next_page_offset, result: result.collect(), ..ScrollResponse::default() })
        });
        Ok(Response::new(response.await?))
    }

    async fn get(&self, request: Request<GetPoints>) -> Result<Response<GetResponse>, Status> {
        let GetPoints { collection_name, ids, with_payload, with_vectors, read_consistency, shard_key_selector, timeout: _ } =
            self.enter(request).await?;
        self.reads(read_consistency)?;
        without(shard_key_selector, "shard keys")?;
        let ids = ids.into_iter().map(convert::id).collect::<Result<Vec<_>, _>>()?;
        let as_1_16 = self.0.answers_as_1_16.load(Ordering::SeqCst);
        let response = self.read(&collection_name, move |collection| {
            let points = &collection.points;
            let shown = Shown::new(true, with_payload, with_vectors, points)?.of_1_16(as_1_16);
            collection.strict.check_limit(ids.len())?;
            // In the order of the ids and each once, as it comes to a real one: callers may rely on neither order nor number.
            let ids: BTreeSet<_> = ids.into_iter().collect();
            let found = ids.into_iter().filter_map(|id| Some((id, points.get(id)?)));
            let result = found.map(|(id, point)| RetrievedPoint {
                id: Some(convert::to_id(id)),
                payload: shown.payload(point),
                vectors: shown.vectors(point),
                ..RetrievedPoint::default()
            });
            Ok(GetResponse { result: result.collect(), ..GetResponse::default() })
        });
        Ok(Response::new(response.await?))
    }

    async fn count(&self, request: Request<CountPoints>) -> Result<Response<CountResponse>, Status> {
        // Exact or not: an exact count is as good an estimate as any.
        let CountPoints { collection_name, filter, exact: _, read_consistency, shard_key_selector, timeout: _ } =
            self.enter(request).await?;
        without(read_consistency, "consistencies of reads")?;
        without(shard_key_selector, "shard keys")?;
        let count = self.read(&collection_name, |collection| {
            let wanted = reading(collection, filter)?;
            Ok(collection.points.passing(wanted.as_ref()).count())
        });
        let result = Some(CountResult { count: count.await? as u64 });
        Ok(Response::new(CountResponse { result, ..CountResponse::default() }))
    }

    async fn facet(&self, request: Request<FacetCounts>) -> Result<Response<FacetResponse>, Status> {
        // Exact or not, as above.
        let FacetCounts { collection_name, key, filter, limit, exact: _, timeout: _, read_consistency, shard_key_selector } =
            self.enter(request).await?;
        without(read_consistency, "consistencies of reads")?;
        without(shard_key_selector, "shard keys")?;
        let key = convert::path(&key)?;
        let limit = limit.unwrap_or(10) as usize;
        let hits = self.read(&collection_name, move |collection| {
            collection.strict.check_limit(limit)?;
            let wanted = reading(collection, filter)?;
            let hits = collection.points.facet(&key, wanted.as_ref(), limit)?.into_iter().map(|(text, count)| {
                let value = FacetValue { variant: Some(facet_value::Variant::StringValue(text)) };
                FacetHit { value: Some(value), count }
            });
            Ok(hits.collect())
        });
        Ok(Response::new(FacetResponse { hits: hits.await?, ..FacetResponse::default() }))
    }

    async fn query(&self, request: Request<QueryPoints>) -> Result<Response<QueryResponse>, Status> {
        let QueryPoints {
            collection_name,
            prefetch,
            query,
            using,
            filter,
            params,
            score_threshold,
            limit,
            offset,
            with_vectors,
            with_payload,
            read_consistency,
            shard_key_selector,
            lookup_from,
            timeout: _,
        } = self.enter(request).await?;
        without((!prefetch.is_empty()).then_some(prefetch), "a prefetch")?;
        without(params, "parameters of searches")?;
        without(score_threshold, "the least score")?;
        without(read_consistency, "consistencies of reads")?;
        without(shard_key_selector, "shard keys")?;
        without(lookup_from, "vectors of other collections")?;
        let limit = convert::limit(limit)?;
        let query = convert::nearest(query)?;
        let as_1_16 = self.0.answers_as_1_16.load(Ordering::SeqCst);
        let result = self.read(&collection_name, move |collection| {
            let points = &collection.points;
            let shown = Shown::new(false, with_payload, with_vectors, points)?.of_1_16(as_1_16);
            collection.strict.check_limit(limit)?;
            let wanted = reading(collection, filter)?;
            let offset = offset.unwrap_or_default() as usize;
            let hits = points.query(&using.unwrap_or_default(), query, wanted.as_ref(), limit + offset)?;
            let result = hits.into_iter().skip(offset).map(|(id, score, point)| ScoredPoint {
                id: Some(convert::to_id(id)),
                payload: shown.payload(point),
                vectors: shown.vectors(point),
                score,
                ..ScoredPoint::default()
            });
            Ok(result.collect())
        });
        Ok(Response::new(QueryResponse { result: result.await?, ..QueryResponse::default() }))
    }

    super::not_here! {
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
