using Xunit;

namespace LightTunnel.Tests.Scale;

/// <summary>Tests that look at the process's memory: nothing else runs beside them.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
