using System.Reflection;
using LightTunnel.Management;
using Xunit;

namespace LightTunnel.Tests.Management;

/// <summary>
/// What crosses the control socket has code of its own to be written and read: a type that was forgotten would fail in another process
/// only.
/// </summary>
public sealed class ControlJsonTests
{
    [Fact]
    public void EveryTypeThatCrosses_IsKnown()
    {
        Type[] types =
        [
            .. typeof(IControlService).GetMethods()
                .SelectMany(method => method.GetParameters().Select(parameter => parameter.ParameterType).Append(ResultOf(method)))
                .OfType<Type>()
                .Where(type => type != typeof(CancellationToken))
                .Distinct(),
        ];

        Assert.Contains(typeof(TunnelStatus), types);
        Assert.Empty(types.Where(type => ControlJson.Default.GetTypeInfo(type) is null).Select(type => type.ToString()));
    }

    private static Type? ResultOf(MethodInfo method) =>
        method.ReturnType.IsGenericType ? method.ReturnType.GetGenericArguments().Single() : null;
}
